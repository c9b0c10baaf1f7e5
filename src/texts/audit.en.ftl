# audit: what people read of it. Both languages hold the same keys.

# A finding's title: the rule's words from the regulation, and its subject.
audit-title = { $title }: { $subject }
audit-title-named = { $title }: { $subject } ({ $name })
audit-subject-device = { $ip } ({ $mac })

# What would show a finding of the rule to be wrong.
audit-refuted-unregistered-segment = An approval that covers { $subject } and was valid on the day of the sweep; or proof that the addresses seen there were forged.
audit-refuted-foreign-segment = Proof that the wire swept belongs to the unit for which { $subject } is approved, or that the addresses were forged.
audit-refuted-unregistered-device = A row in assets or devices with this device's MAC, or its address where the row states no MAC: { $subject }.
audit-refuted-asset-mismatch = That the registered MAC is out of date and the machine is the same, or that the frames were forged: { $subject }.
audit-refuted-unregistered-router = That the device is registered as gateway, router, firewall, nat or vpn; or that its forwarding is off and its answers have another cause: { $subject }.
audit-refuted-rogue-dhcp-server = That the server is registered with the role dhcp, or that its answers were forged by another: { $subject }.
audit-refuted-rogue-router-advertisement = That the device is registered as gateway or router, or that the advertisement was forged by another: { $subject }.
audit-refuted-hidden-network = That there is one host only behind the address, or that the device is registered with the role nat: { $subject }.
audit-refuted-multi-homed-device = That the other addresses are not this device's, or lie in approved segments of its unit: { $subject }.
audit-refuted-unregistered-tunnel = That the device is registered with the role vpn, or that the packets are no tunnel: { $subject }.
audit-refuted-wireless-access-point = That the device has no radio, or is registered with the role wireless: { $subject }.
audit-refuted-interface-device-replaced = That it is the registered device still (a new card, say) and the registry is out of date: { $subject }.
audit-refuted-interface-device-changed = That the registered configuration is out of date, or that the listed ports are as registered when asked again: { $subject }.
audit-refuted-interface-device-missing = An answer from any address of the device; or that its registered addresses are wrong: { $subject }.
audit-refuted-access-after-withdrawal = An approval that covers { $subject } and was valid on the day of the sweep; or proof that the addresses were forged.
audit-refuted-unregistered-egress = That the way out passes a filed egress after all (its public prefixes or its gateway are other than the table says), or, of a resolver, that it hands its questions on to somebody else's by a filed egress: { $subject }.
audit-refuted-egress-mismatch = That the public address seen is within the filed prefixes: { $subject }.
audit-refuted-egress-filing-expired = A filing of the egress that was valid on the day of the sweep: { $subject }.
audit-refuted-unregistered-service = A row for { $subject } in services, or among the device's ports; or that the port is closed when asked again.
audit-refuted-retired-system-online = That { $subject } is still approved and its registered status is wrong; or that it does not answer when asked again.
audit-refuted-filing-expired = A filing or extension that was valid on the day of the sweep: { $subject }.
audit-refuted-registered-asset-absent = An answer of { $subject } at another time, or that its registered address is wrong.
audit-refuted-risky-service = That { $subject } asks for authentication, or is closed, when asked again.
audit-refuted-other = Proof that what was seen is wrong: { $subject }.

# Summaries of evidence: one for each fact.
audit-seen-interface = The vantage's interface has { $ip } in { $prefix }
audit-seen-gateway = The vantage's default gateway is { $ip }
audit-seen-binding = { $mac } uses { $ip } on the link ({ $source }, { $count } times)
audit-seen-conflict = { $mac } contends for { $ip }
audit-seen-traffic = { $mac } brought packets from { $ip }
audit-seen-alive = { $ip } answered by { $mac } ({ $source }, { $count } times)
audit-seen-open = { $port } of { $ip } is open (the answer holds our token, { $count } times)
audit-seen-closed = { $port } of { $ip } refuses
audit-seen-icmp-error = { $from } answered ICMP { $code } about { $ip }
audit-seen-forwarding = Forwarding test, round { $round }, hop limit { $hops }, by { $mac } to { $destination }: { $from } answered { $code }
audit-seen-itself = as the destination itself
audit-seen-hop = Hop { $hops } towards { $ip } is { $from }
audit-seen-ra = { $ip } ({ $mac }) sent a router advertisement: { $prefixes }, lifetime { $lifetime } s
audit-seen-dhcp-server = { $ip } ({ $mac }) answered DHCP { $message }
audit-seen-dhcp-client = { $mac } sent DHCP { $message }
audit-seen-lldp = { $mac } sent LLDP and calls itself { $name }
audit-seen-routing = { $ip } ({ $mac }) speaks { $protocol }
audit-seen-name = { $ip } ({ $mac }) calls itself { $name }
audit-seen-router-flag = { $mac } says of { $ip } that it is a router
audit-seen-several-clocks = TCP timestamps of { $ip } to one server run by { $clocks } clocks
audit-seen-heard-name = { $ip } was heard speaking { $protocol }
audit-seen-told-neighbour = { $by } told by SNMP: { $ip } is at { $mac }
audit-seen-told-address = { $by } told by SNMP that it has { $ip } ({ $prefix })
audit-seen-told-route = { $by } told by SNMP of a route to { $prefix } by { $via }
audit-seen-pointer-name = The name server { $by } has the name { $name } for { $ip }
audit-seen-tentative = { $mac } tried whether { $ip } is free
audit-seen-querier = { $ip } ({ $mac }) queries for group members
audit-seen-listener = { $ip } ({ $mac }) joined { $group }
audit-seen-oddity = Odd { $protocol }: { $what }
audit-seen-encapsulated = Inside { $encapsulation }: { $inner }
audit-seen-asked = { $asked } addresses of { $prefix } were asked by { $method }
audit-seen-egress-probe = Asked { $ip } by { $method } ({ $carrier }, round { $round }) for canary { $canary }, with a token of its own
audit-seen-egress-receipt = The collector saw the token of question { $probe } come from { $observed }, port { $port } (entry { $entry } of its log, chain value { $chain })
audit-seen-egress-answer = The canary answered question { $probe }
audit-seen-egress-proved-answer = The collector answered question { $probe }, which it saw come from { $observed }
audit-seen-external-address = { $ip } ({ $mac }) says by { $protocol } that its external address is { $external }
audit-seen-passage = Packets between { $local } and { $remote } went by { $mac } ({ $direction }, { $what })
audit-seen-egress-asked = { $method } asked { $asked } addresses of { $prefix }
audit-seen-ghost = { $ip }, which cannot exist, answered too ({ $method }, { $mac })
audit-seen-sender = Frames from { $mac }
audit-seen-source-address = Packets from { $ip }
audit-seen-vlan = { $mac } sent in VLAN { $vlan }
audit-seen-tunnel = A tunnel ({ $kind }) goes from { $from } to { $to }
audit-seen-heard = { $who } speaks { $protocol }: { $what }
audit-seen-tcp-server = { $ip } took a TCP connection at port { $port }
audit-seen-tcp-syn = { $ip } opens TCP connections like this: { $signature } (system: { $system })
audit-seen-tls-client = { $ip } asked { $server }:{ $port } for { $name } by TLS (JA4 { $ja4 })
audit-seen-tls-server = { $ip }:{ $port } answered TLS { $version }
audit-seen-tls-certificates = { $ip } showed the certificate of { $subject }, issued by { $issuer }
audit-seen-http-host = { $ip } asked { $server }:{ $port } for { $host } by HTTP
audit-seen-user-agent = { $ip } says that its software is { $agent }
audit-seen-spoken = { $ip } (port { $port }) speaks { $protocol }: { $says }
audit-seen-smb = { $ip } speaks SMB, dialect { $dialect }
audit-seen-ntlm-server = { $ip } calls itself { $computer } of { $domain } (NTLM)
audit-seen-ntlm-client = { $ip } calls itself { $host }, its user { $user } of { $domain } (NTLM)

# Silence, and the registry's rows.
audit-silence = { $ip } was asked to the end by { $methods } and did not answer
audit-silence-port = { $port } of { $ip } was asked to the end and did not answer ({ $methods })
audit-row = Registry, table { $table }, row { $key }: { $says }
audit-row-bare = Registry, table { $table }, row { $key }
audit-gone = The observation is no longer there

audit-remark-odd = { $mac }: { $what } ({ $count } times)
audit-remark-tells-router = { $ip } ({ $mac }) tells by { $protocol } of the router { $address }, which is registered as none
audit-remark-tells-resolver = { $ip } ({ $mac }) tells by { $protocol } of the resolver { $address }, which is registered as none
audit-remark-disagree = The routers { $one } and { $other } advertise different values: { $what }
