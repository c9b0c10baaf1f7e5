# audit: what people read of it. Both languages hold the same keys.

# A finding's title: the rule's words from the regulation, and its subject.
audit-title = { $title }：{ $subject }
audit-title-named = { $title }：{ $subject }（{ $name }）
audit-subject-device = { $ip }（{ $mac }）

# What would show a finding of the rule to be wrong.
audit-refuted-unregistered-segment = 一份在扫描当日有效、覆盖 { $subject } 的接入批准；或证明所见地址系伪造。
audit-refuted-foreign-segment = 证明扫描所在线路属于 { $subject } 的批准单位，或所见地址系伪造。
audit-refuted-unregistered-device = “资产”或“接口网络设备”表中有该设备 MAC（未登记 MAC 时为其 IP）的记录：{ $subject }。
audit-refuted-asset-mismatch = 登记的 MAC 已过时而设备未变，或所见帧系伪造：{ $subject }。
audit-refuted-unregistered-router = 该设备已登记为 gateway、router、firewall、nat 或 vpn；或其转发已关闭，应答另有原因：{ $subject }。
audit-refuted-rogue-dhcp-server = 该服务器已登记为角色 dhcp，或应答帧系他人伪造：{ $subject }。
audit-refuted-rogue-router-advertisement = 该设备已登记为 gateway 或 router，或通告系他人伪造：{ $subject }。
audit-refuted-hidden-network = 证明该地址后只有一台主机，或该设备已登记为角色 nat：{ $subject }。
audit-refuted-multi-homed-device = 证明所列其他地址不属于该设备，或属于本单位已批准的网段：{ $subject }。
audit-refuted-unregistered-tunnel = 该设备已登记为角色 vpn，或所见报文并非隧道：{ $subject }。
audit-refuted-wireless-access-point = 证明该设备无无线功能，或已登记为角色 wireless：{ $subject }。
audit-refuted-interface-device-replaced = 证明仍是登记的设备（例如仅更换网卡），登记信息过时：{ $subject }。
audit-refuted-interface-device-changed = 登记的配置已过时，或所列端口在复查时与登记一致：{ $subject }。
audit-refuted-interface-device-missing = 该设备任一地址的应答；或其登记地址有误：{ $subject }。
audit-refuted-access-after-withdrawal = 一份在扫描当日有效、覆盖 { $subject } 的批准；或证明所见地址系伪造。
audit-refuted-unregistered-egress = 证明该路径实际经由已备案的互联网出口（其公网地址段或网关与台账所记不同）；若为域名解析服务器，证明其经由已备案出口将查询转交他人的解析服务器：{ $subject }。
audit-refuted-egress-mismatch = 所见公网地址属于已备案的范围：{ $subject }。
audit-refuted-egress-filing-expired = 一份在扫描当日有效的出口备案：{ $subject }。
audit-refuted-unregistered-service = “信息系统与服务”表（或接口网络设备的开放端口）中有 { $subject } 的记录；或复查时该端口关闭。
audit-refuted-retired-system-online = 证明 { $subject } 仍在批准使用，登记状态有误；或复查时无应答。
audit-refuted-filing-expired = 一份在扫描当日有效的备案或续期：{ $subject }。
audit-refuted-registered-asset-absent = { $subject } 在其他时间的应答，或其登记地址有误。
audit-refuted-risky-service = 复查时 { $subject } 需要认证或已关闭。
audit-refuted-other = 证明所见事实有误：{ $subject }。

# Summaries of evidence: one for each fact.
audit-seen-interface = 扫描点接口 { $ip }，所在网段 { $prefix }
audit-seen-gateway = 扫描点的默认网关 { $ip }
audit-seen-binding = { $mac } 在本链路使用 { $ip }（{ $source }，{ $count } 次）
audit-seen-conflict = { $mac } 与他人争用 { $ip }
audit-seen-traffic = { $mac } 送来源地址为 { $ip } 的报文
audit-seen-alive = { $ip } 经 { $mac } 应答探测（{ $source }，{ $count } 次）
audit-seen-open = { $ip } 的 { $port } 开放（应答带本次令牌，{ $count } 次）
audit-seen-closed = { $ip } 的 { $port } 拒绝连接
audit-seen-icmp-error = { $from } 就 { $ip } 回复 ICMP { $code }
audit-seen-forwarding = 第 { $round } 轮转发测试，跳数 { $hops }，经 { $mac } 发往 { $destination }：{ $from } 应答 { $code }
audit-seen-itself = 目的地本身
audit-seen-hop = 去往 { $ip } 的第 { $hops } 跳是 { $from }
audit-seen-ra = { $ip }（{ $mac }）发送路由通告：{ $prefixes }，有效 { $lifetime } 秒
audit-seen-dhcp-server = { $ip }（{ $mac }）以 DHCP { $message } 应答
audit-seen-dhcp-client = { $mac } 发出 DHCP { $message }
audit-seen-lldp = { $mac } 发送 LLDP，自称 { $name }
audit-seen-routing = { $ip }（{ $mac }）发送 { $protocol } 报文
audit-seen-name = { $ip }（{ $mac }）自称 { $name }
audit-seen-router-flag = { $mac } 的邻居通告称 { $ip } 是路由器
audit-seen-several-clocks = { $ip } 到同一服务器的 TCP 时间戳出自 { $clocks } 个时钟
audit-seen-heard-name = 监听到 { $ip } 的 { $protocol } 报文
audit-seen-told-neighbour = { $by } 经 SNMP 告知：{ $ip } 对应 { $mac }
audit-seen-told-address = { $by } 经 SNMP 告知自身地址 { $ip }（{ $prefix }）
audit-seen-told-route = { $by } 经 SNMP 告知到 { $prefix } 的路由，下一跳 { $via }
audit-seen-pointer-name = 域名服务器 { $by } 登记 { $ip } 的域名为 { $name }
audit-seen-tentative = { $mac } 检测 { $ip } 是否空闲
audit-seen-querier = { $ip }（{ $mac }）发送组播成员查询
audit-seen-listener = { $ip }（{ $mac }）加入组播组 { $group }
audit-seen-oddity = { $protocol } 报文异常：{ $what }
audit-seen-encapsulated = 隧道（{ $encapsulation }）内：{ $inner }
audit-seen-asked = 对 { $prefix } 以 { $method } 询问了 { $asked } 个地址
audit-seen-egress-probe = 以 { $method }（{ $carrier }，第 { $round } 轮）询问 { $ip }，目的为信标 { $canary }，带专用令牌
audit-seen-egress-receipt = 采集端看到第 { $probe } 号询问的令牌来自 { $observed } 端口 { $port }（其日志第 { $entry } 条，链值 { $chain }）
audit-seen-egress-answer = 信标应答了第 { $probe } 号询问
audit-seen-egress-proved-answer = 采集端应答了第 { $probe } 号询问，其所见来源为 { $observed }
audit-seen-external-address = { $ip }（{ $mac }）以 { $protocol } 自称外部地址为 { $external }
audit-seen-passage = { $local } 与 { $remote } 之间的报文经 { $mac }（{ $direction }，{ $what }）
audit-seen-egress-asked = { $method } 在 { $prefix } 询问了 { $asked } 个地址
audit-seen-ghost = 不存在的地址 { $ip } 也有应答（{ $method }，{ $mac }）
audit-seen-sender = 来自 { $mac } 的帧
audit-seen-source-address = 来自 { $ip } 的报文
audit-seen-vlan = { $mac } 在 VLAN { $vlan } 中发送
audit-seen-tunnel = 从 { $from } 到 { $to } 的隧道（{ $kind }）
audit-seen-heard = { $who } 使用 { $protocol }：{ $what }
audit-seen-tcp-server = { $ip } 在端口 { $port } 接受了 TCP 连接
audit-seen-tcp-syn = { $ip } 建立 TCP 连接的特征：{ $signature }（系统：{ $system }）
audit-seen-tls-client = { $ip } 以 TLS 向 { $server }:{ $port } 请求 { $name }（JA4 { $ja4 }）
audit-seen-tls-server = { $ip }:{ $port } 以 TLS { $version } 应答
audit-seen-tls-certificates = { $ip } 出示 { $subject } 的证书，签发者 { $issuer }
audit-seen-http-host = { $ip } 以 HTTP 向 { $server }:{ $port } 请求 { $host }
audit-seen-user-agent = { $ip } 自称所用软件为 { $agent }
audit-seen-spoken = { $ip }（端口 { $port }）使用 { $protocol }：{ $says }
audit-seen-smb = { $ip } 使用 SMB，版本 { $dialect }
audit-seen-ntlm-server = { $ip } 自称 { $domain } 的 { $computer }（NTLM）
audit-seen-ntlm-client = { $ip } 自称 { $host }，用户为 { $domain } 的 { $user }（NTLM）

# Silence, and the registry's rows.
audit-silence = 以 { $methods } 询问 { $ip } 完毕，无应答
audit-silence-port = 询问 { $ip } 的 { $port } 完毕，无应答（{ $methods }）
audit-row = 登记台账 { $table } 表 { $key }：{ $says }
audit-row-bare = 登记台账 { $table } 表 { $key }
audit-gone = 观测记录已不存在

audit-remark-odd = { $mac }：{ $what }（{ $count } 次）
audit-remark-tells-router = { $ip }（{ $mac }）通过 { $protocol } 通告路由器 { $address }，台账中没有登记为路由器
audit-remark-tells-resolver = { $ip }（{ $mac }）通过 { $protocol } 通告域名解析服务器 { $address }，台账中没有登记为解析服务器
audit-remark-disagree = 路由器 { $one } 与 { $other } 通告的参数不一致：{ $what }
