# report: what people read of it. Both languages hold the same keys.

# --- words -----------------------------------------------------------------------------------------
report-severity-critical = Critical
report-severity-high = High
report-severity-medium = Medium
report-severity-low = Low
report-severity-info = Info

report-confidence-proved = Proved
report-confidence-corroborated = Corroborated
report-confidence-indicated = Indicated
report-confidence-hint = Hint
report-confidence-proved-means = The packets themselves show it, or it was shown twice with fresh tokens.
report-confidence-corroborated-means = Two independent methods show it.
report-confidence-indicated-means = One strong method shows it; a second has yet to confirm it.
report-confidence-hint-means = A weak sign only (a vendor name, a banner); to be checked by hand.

report-status-open = Open
report-status-acknowledged = Acknowledged
report-status-waived = Waived
report-status-resolved = Resolved

report-kind-server = Server
report-kind-terminal = Terminal
report-kind-printer = Printer
report-kind-phone = Phone
report-kind-camera = Camera
report-kind-network = Network device
report-kind-other = Other
report-kind-unknown = Not determined

report-evidence-packet = Packets
report-evidence-silence = Silence
report-evidence-registry = Registry
report-evidence-observation = Observation

report-article = Art. { $n }
report-yes = yes
report-no = no
report-not-run = not run
report-none = none
report-not-stated = not stated
report-and-more = and { $n } more

# --- head ------------------------------------------------------------------------------------------
report-title = Extranet boundary inspection report
report-product = Jiebei
report-tagline = Access boundary and asset inspection
report-unit = Unit inspected
report-unit-none = no unit named
report-sweep = Sweep
report-time = Time of the sweep
report-timezone = Beijing time (UTC+8)
report-duration = Duration
report-duration-value = { $minutes } min { $seconds } s
report-authorisation = Authorisation
report-authorised-by = Authorised by
report-window = Authorised window
report-window-value = { $from } to { $until }
report-window-open = not limited
report-scope = Authorised scope
report-exclude = Excluded
report-observe-only = Observed only
report-risk = Highest class of probe
report-risk-0 = 0 (listening only)
report-risk-1 = 1 (ordinary unicast questions)
report-risk-2 = 2 (broadcast and multicast questions too)
report-risk-3 = 3 (questions with our own canary as source too)
report-signature = Signature of the authorisation
report-signature-valid = valid
report-signature-absent = none
report-registry = Approved access registry
report-registry-none = no registry given: mapped, not compared
report-regulation = Regulation
report-profile = Profile
report-vantages = Vantages
report-generator = Written by
report-files = Files beside this report
report-files-means = These digests were taken when this report was written. Whoever disputes a piece of evidence checks its digest first.
report-complete = Sweep complete
report-complete-means = Everything planned was asked.
report-incomplete = Sweep NOT complete
report-incomplete-means = The sweep ended before everything planned was asked. The findings below stand, but that something was not found does not show that it is not there.

# --- summary ---------------------------------------------------------------------------------------
report-summary = 1. Conclusion
report-summary-findings = { $n ->
    [one] 1 finding, concerning { $devices } device(s) and { $segments } segment(s).
   *[other] { $n } findings, concerning { $devices } device(s) and { $segments } segment(s).
 }
report-summary-uncompared = No registry was given: this is a map only. Nothing was compared, so there can be no findings against a registry.
report-summary-none = No findings.
report-summary-none-means = This holds as far as section 5 reaches: addresses, ports and times that were not asked about are not part of it.
report-summary-waived = { $n ->
    [one] 1 more finding is an approved exception: listed, not counted above.
   *[other] { $n } more findings are approved exceptions: listed, not counted above.
 }
report-by-severity = By severity
report-by-article = By article
report-article-head = Article
report-article-gist = What it asks
report-count = Count
report-total = Total
report-devices-seen = Devices
report-segments-seen = Segments
report-services-seen = Open services
report-unregistered-devices = Unregistered devices
report-unregistered-segments = Unregistered segments
report-article-unexamined = not examined in this sweep
report-many-articles = A finding may concern several articles, so the articles may add up to more than the findings.

# --- findings --------------------------------------------------------------------------------------
report-findings = 2. Findings
report-findings-cut = The gravest { $shown } of { $all } are shown here; all of them are in report.xlsx, findings.csv and result.json.
report-filter = Filter
report-filter-all = All
report-filter-shown = { $n } shown
report-subject = Subject
report-subject-ip = Address
report-subject-mac = MAC
report-subject-prefix = Prefix
report-subject-port = Port
report-of-unit = Unit
report-rule = Rule
report-confidence = Confidence
report-refuted-by = What would refute it
report-evidence = Evidence
report-evidence-frames = { $file }, frame { $frames }
report-evidence-none = No packets go with this finding.
report-remediation = Remediation
report-detail = Detail
report-seen = Seen
report-first-seen = First seen
report-last-seen = Last seen
report-finding-id = Finding id
report-status = Status
report-severity = Severity
report-notice = Change notice
report-notice-means = Announced by the unit beforehand ({ $notice }); the finding lies within its window.
report-waiver = Exception
report-waiver-means = An approved exception until { $until }. Reason: { $reason }. Approval: { $approval }.
report-title-head = Finding

# --- map -------------------------------------------------------------------------------------------
report-map = 3. Map of segments and devices
report-map-means = Each box is a segment with the devices seen in it; lines join routers and vantages to the segments they stand in.
report-map-sheet = Sheet { $n } of { $all }
report-map-cut = { $shown } of { $all } segments are drawn; the others are in the table of segments.
report-map-none = No segment and no device was seen.
report-legend = Legend
report-legend-registered = registered
report-legend-unregistered = not registered
report-legend-finding = with findings
report-legend-neutral = not compared
report-map-gateways = gateway { $gateways }
report-map-no-gateway = no gateway seen
report-map-devices = { $n ->
    [one] 1 device
   *[other] { $n } devices
 }
report-map-outside = Devices in no segment
report-map-more = { $n } more
report-map-more-routers = { $n } more routers
report-map-vantage = vantage { $interface }

# --- segments, devices -------------------------------------------------------------------------------
report-segments = 4. Segments and devices
report-segment-table = Segments
report-prefix = Prefix
report-registered = Registered
report-registered-yes = registered
report-registered-no = not registered
report-gateways = Gateways
report-live = Live devices
report-sources = Sources
report-device-table = Devices
report-devices-cut = { $shown } of { $all } devices are shown, those with findings first; all of them are in report.xlsx and result.json.
report-segments-cut = { $shown } of { $all } segments are shown; all of them are in report.xlsx and result.json.
report-device = Device
report-addresses = Addresses
report-claimed = Claimed addresses (not confirmed)
report-macs = MAC
report-vendor = Vendor
report-kind = Kind
report-os = System
report-roles = Roles
report-registered-as = Registered as
report-services = Services
report-hostnames = Host names
report-device-id = Device id
report-findings-of = Findings
report-egresses = Ways out to the internet
report-egress-gateway = Gateway
report-egress-public = Public addresses
report-egress-methods = Methods
report-egress-registered = Filed as
report-port = Port
report-service-name = Service
report-product-version = Product and version
report-banner = Banner
report-risks = Risks
report-tls = TLS certificate
report-tls-until = Certificate valid until

# --- coverage ----------------------------------------------------------------------------------------
report-coverage = 5. Coverage
report-coverage-means = What was asked, and so what could have been seen. That something was not found holds within this and no further.
report-coverage-none = Nothing was asked in this sweep; it only listened. What was not heard may still be there.
report-vantage = Vantage
report-methods = Methods
report-ports = Ports
report-asked = Asked
report-answered = Answered
report-excluded = Excluded
report-ghosts = Ghosts
report-coverage-unasked = Not asked, only listened to: what was not heard may still be there.
report-coverage-complete = Asked to the end: what did not answer gave no answer to these questions at that time.
report-coverage-partial = Not asked to the end: silence shows nothing here.
report-coverage-ghosts = Addresses that cannot exist answered too: answers of that kind prove nothing alone here.
report-coverage-excluded = { $n ->
    [one] 1 address is excluded by the authorisation and was never asked.
   *[other] { $n } addresses are excluded by the authorisation and were never asked.
 }
report-coverage-said = What it means
report-candidates = IPv6 candidates
report-candidates-means = Nobody can ask every address of an IPv6 prefix, so likely ones were asked. Which source proposed them, and how many are in use; an address that several propose is the first one's. What answers to none of these habits is found only when it is heard.
report-candidates-source = Source
report-candidates-cut = The first { $shown } of { $all } rows; all are in result.json.
report-calibrated = Calibration
report-why-not = What was not done, and why
report-ports-cut = { $ports } … ({ $n } ranges in all, see report.xlsx)

# --- what was sent -------------------------------------------------------------------------------------
report-sent = 6. What was sent
report-sent-means = { $sent } frames were sent, { $received } received, { $dropped } dropped by the kernel. No address outside the scope, and none that is excluded, is ever a destination; link-wide broadcast and multicast and our own canaries apart.
report-rate = Ceilings: { $pps } frames a second for the whole sweep, { $target } for one address.
report-pass = Pass
report-targets = Targets
report-packets = Frames sent
report-answers = Answers
report-seconds = Seconds
report-notices = 7. Remarks
report-notices-none = None.
report-code = Code

# --- verify ----------------------------------------------------------------------------------------------
report-verify = 8. How to verify
report-verify-frames = Packet evidence names frames of evidence.pcapng by the numbers that Wireshark shows; the comment of each frame names the finding that it proves.
report-verify-command = At a command line:
report-verify-audit = To compare with a corrected registry again, without sending a packet:
report-verify-secrets = Passwords, communities and session tokens are overwritten with x in all files; the checksums of such frames no longer match, and their comments say so.
report-sign-inspector = Inspector (signature)
report-sign-unit = Unit (signature and seal)
report-sign-date = Date
report-footer = Written by { $generator } · sweep { $sweep }

# --- workbook and summary --------------------------------------------------------------------------------
report-sheet-summary = Summary
report-sheet-findings = Findings
report-sheet-devices = Devices
report-sheet-segments = Segments
report-sheet-services = Services
report-sheet-coverage = Coverage
report-sheet-egresses = Egresses
report-sheet-sent = Sent and remarks
report-item = Item
report-value = Value
report-truncated = (cut at the limit of a cell; in full in result.json)
report-files-beside = File
report-bytes = Bytes

# --- details of findings, by their names in the result -------------------------------------------------------
report-detail-addresses = Addresses
report-detail-live = Live
report-detail-reason = Reason
report-detail-withdrawn_on = Withdrawn on
report-detail-valid_until = Valid until
report-detail-registered_as = Registered as
report-detail-registered_mac = Registered MAC
report-detail-approved_for = Approved for
report-detail-changed = Changed
report-detail-operator_owned = Operator's device
report-detail-system = System
report-detail-prefixes = Prefixes
report-detail-lifetime = Router lifetime (s)
report-detail-routes = Routes
report-detail-rdnss = Resolvers (RDNSS)
report-detail-segment = In segment
report-detail-vendor = Vendor
report-detail-hostnames = Host names
report-detail-via = By way of
report-detail-forwarding = Forwarding
report-detail-rounds = Rounds
report-detail-shows = Shows itself by
report-detail-sources = Sources
report-detail-on_link = On this link
report-detail-gateways = Gateways
report-detail-other_addresses = Other addresses
report-detail-kind = Kind
report-detail-peer = Peer
report-detail-methods = Methods
report-detail-public_addresses = Public addresses
report-detail-why = Why
report-detail-servers = Servers
report-detail-routers = Routers offered
report-detail-dns = Resolvers offered

# --- the boundary ------------------------------------------------------------------------------------
report-boundary-means = Who leads out of the unit, by which methods it was shown, and as which public address it is seen outside. A tick in a green disc: filed; a cross in a red square: not filed.
report-boundary-unit = Unit
report-boundary-device = Leads out
report-boundary-way = Way out
report-boundary-public = Internet: seen as
report-boundary-filed = Filed: { $name }
report-boundary-unfiled = Not filed
report-boundary-mismatch = Address not as filed
report-boundary-expired = Filing has run out
report-boundary-uncompared = Not compared
report-boundary-no-address = Address not seen
report-boundary-cut = The first { $shown } of { $all } are drawn; all are in the table and the workbook.
report-boundary-unasked = Ways out to the internet were not looked for in this sweep: nothing is said of whether there are any.
report-boundary-found = { $prefix }: unregistered egresses found: { $n }.
report-boundary-seen = { $prefix }: ways out found: { $n }; there was no registry to hold them against.
report-boundary-none = { $prefix }: no unregistered egress was found by { $methods }.
report-boundary-none-seen = { $prefix }: no way out was found by { $methods }.
report-boundary-not-shown = { $prefix }: whether there is an unregistered egress was not shown.
report-boundary-void = Void, for nothing shows that it could have been seen: { $methods }.
report-boundary-reasons = Not run or void: { $reasons }.
report-detail-networks = Networks
report-detail-hops = Hops behind it
report-detail-expected = Filed as
