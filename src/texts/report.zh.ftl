# report: what people read of it. Both languages hold the same keys.

# --- words -----------------------------------------------------------------------------------------
report-severity-critical = 严重
report-severity-high = 高
report-severity-medium = 中
report-severity-low = 低
report-severity-info = 提示

report-confidence-proved = 确证
report-confidence-corroborated = 互证
report-confidence-indicated = 有力迹象
report-confidence-hint = 线索
report-confidence-proved-means = 报文本身已经表明，或以新的随机令牌重复两次得到同样结果。
report-confidence-corroborated-means = 两种相互独立的方法得到同样结果。
report-confidence-indicated-means = 一种有力的方法表明，尚待第二种方法印证。
report-confidence-hint-means = 仅为微弱线索（如厂商名称、服务标识），需人工核实。

report-status-open = 待整改
report-status-acknowledged = 已知悉
report-status-waived = 例外
report-status-resolved = 已消除

report-kind-server = 服务器
report-kind-terminal = 终端
report-kind-printer = 打印机
report-kind-phone = 话机
report-kind-camera = 摄像机
report-kind-network = 网络设备
report-kind-other = 其他
report-kind-unknown = 未判明

report-evidence-packet = 报文
report-evidence-silence = 无应答
report-evidence-registry = 台账
report-evidence-observation = 观测

report-article = 第{ $n }条
report-yes = 是
report-no = 否
report-not-run = 未进行
report-none = 无
report-not-stated = 未载明
report-and-more = 等 { $n } 项

# --- head ------------------------------------------------------------------------------------------
report-title = 政务外网接入边界核查报告
report-product = 界碑
report-tagline = 接入边界与资产核查
report-unit = 被核查单位
report-unit-none = 未指定单位
report-sweep = 核查编号
report-time = 核查时间
report-timezone = 北京时间（UTC+8）
report-duration = 历时
report-duration-value = { $minutes } 分 { $seconds } 秒
report-authorisation = 授权文号
report-authorised-by = 授权人
report-window = 授权时段
report-window-value = { $from } 至 { $until }
report-window-open = 未限定
report-scope = 授权范围
report-exclude = 排除地址
report-observe-only = 只观察地址
report-risk = 允许的探测等级
report-risk-0 = 0（只听不发）
report-risk-1 = 1（普通单播询问）
report-risk-2 = 2（含广播、组播询问）
report-risk-3 = 3（含借用自有信标地址的询问）
report-signature = 授权签名
report-signature-valid = 有效
report-signature-absent = 无
report-registry = 接入审批台账
report-registry-none = 未提供台账：只测绘，不作台账比对
report-regulation = 适用规定
report-profile = 核查方案
report-vantages = 接入点
report-generator = 生成程序
report-files = 随附文件
report-files-means = 以下摘要值于本报告生成时记入。对任何一份证据有异议，先核对其摘要值。
report-complete = 核查完成
report-complete-means = 计划内的询问全部完成。
report-incomplete = 核查未完成
report-incomplete-means = 核查在计划的询问问完之前结束。本报告所列问题仍然成立，但“未发现”不能作为“不存在”的依据。

# --- summary ---------------------------------------------------------------------------------------
report-summary = 一、核查结论
report-summary-findings = 发现 { $n } 个问题，涉及 { $devices } 台设备、{ $segments } 个网段。
report-summary-none = 未发现问题。
report-summary-none-means = 此结论以“五、覆盖范围”所列为限：未询问的地址、端口与时段不在结论之内。
report-summary-waived = 另有 { $n } 个问题属已批准的例外，列出但不计入上表。
report-by-severity = 按严重程度
report-by-article = 按条款
report-article-head = 条款
report-article-gist = 要求
report-count = 数量
report-total = 合计
report-devices-seen = 设备
report-segments-seen = 网段
report-services-seen = 开放服务
report-unregistered-devices = 未登记设备
report-unregistered-segments = 未登记网段
report-many-articles = 一个问题可涉及多个条款，各条款之和可能大于问题总数。

# --- findings --------------------------------------------------------------------------------------
report-findings = 二、问题清单
report-findings-cut = 此处列出最重要的 { $shown } 个，共 { $all } 个；全部见 report.xlsx、findings.csv 与 result.json。
report-filter = 筛选
report-filter-all = 全部
report-filter-shown = 显示 { $n } 个
report-subject = 对象
report-subject-ip = 地址
report-subject-mac = MAC
report-subject-prefix = 网段
report-subject-port = 端口
report-rule = 规则
report-confidence = 可信度
report-refuted-by = 可推翻本结论的情形
report-evidence = 证据
report-evidence-frames = { $file } 第 { $frames } 帧
report-evidence-none = 本问题没有附带报文。
report-remediation = 整改要求
report-detail = 详情
report-seen = 发现时间
report-first-seen = 首次发现
report-last-seen = 最近发现
report-finding-id = 问题编号
report-status = 状态
report-severity = 严重程度
report-notice = 变更告知
report-notice-means = 单位事先告知（{ $notice }），本问题在其时段之内。
report-waiver = 例外
report-waiver-means = 经批准的例外，至 { $until }。理由：{ $reason }。批准：{ $approval }。
report-title-head = 问题

# --- map -------------------------------------------------------------------------------------------
report-map = 三、网段与设备图
report-map-means = 图中每框为一个网段，框内为其中看到的设备；连线表示路由设备或接入点与网段相接。
report-map-sheet = 第 { $n } 幅，共 { $all } 幅
report-map-cut = 图中绘出 { $shown } 个网段，共 { $all } 个；其余见网段表。
report-map-none = 本次没有看到任何网段或设备。
report-legend = 图例
report-legend-registered = 已登记
report-legend-unregistered = 未登记
report-legend-finding = 有问题
report-legend-neutral = 未比对台账
report-map-gateways = 网关 { $gateways }
report-map-no-gateway = 未见网关
report-map-devices = { $n } 台设备
report-map-outside = 未归入网段的设备
report-map-more = 另有 { $n } 台
report-map-more-routers = 另有 { $n } 台路由设备
report-map-vantage = 接入点 { $interface }

# --- segments, devices -------------------------------------------------------------------------------
report-segments = 四、网段与设备
report-segment-table = 网段
report-prefix = 网段
report-registered = 登记
report-registered-yes = 已登记
report-registered-no = 未登记
report-gateways = 网关
report-live = 在线设备数
report-sources = 来源
report-device-table = 设备
report-devices-cut = 此处列出 { $shown } 台，共 { $all } 台，有问题的在前；全部见 report.xlsx 与 result.json。
report-segments-cut = 此处列出 { $shown } 个网段，共 { $all } 个；全部见 report.xlsx 与 result.json。
report-device = 设备
report-addresses = 地址
report-claimed = 自称地址（未证实）
report-macs = MAC
report-vendor = 厂商
report-kind = 类别
report-os = 系统
report-roles = 角色
report-registered-as = 台账名称
report-services = 服务
report-hostnames = 主机名
report-device-id = 设备编号
report-findings-of = 问题数
report-egresses = 互联网出口
report-egress-gateway = 网关
report-egress-public = 公网地址
report-egress-methods = 方法
report-egress-registered = 备案出口
report-port = 端口
report-service-name = 服务
report-product-version = 产品与版本
report-banner = 标识
report-risks = 风险
report-tls = TLS 证书
report-tls-until = 证书有效期至

# --- coverage ----------------------------------------------------------------------------------------
report-coverage = 五、覆盖范围
report-coverage-means = 下表说明问过什么、因此能看到什么。“未发现”只在此范围之内成立。
report-coverage-none = 本次没有主动询问，只监听：没有听到不等于不存在。
report-vantage = 接入点
report-methods = 方法
report-ports = 端口
report-asked = 已问地址
report-answered = 有应答
report-excluded = 已排除
report-ghosts = 虚假应答
report-coverage-complete = 全部问完：没有应答的地址，当时对这些询问确无应答。
report-coverage-partial = 未全部问完：没有应答不能说明不存在。
report-coverage-ghosts = 不存在的地址也有应答：本网段同类应答不单独作为证据。
report-coverage-excluded = { $n } 个地址按授权排除，从未询问。
report-calibrated = 校准
report-why-not = 未进行的方法与原因
report-ports-cut = { $ports } …（共 { $n } 段，全部见 report.xlsx）

# --- what was sent -------------------------------------------------------------------------------------
report-sent = 六、发送了什么
report-sent-means = 本次共发送 { $sent } 帧，收到 { $received } 帧，内核丢弃 { $dropped } 帧。授权范围之外与排除地址不作为任何报文的目的地；自有信标除外。
report-rate = 发送上限：全程每秒 { $pps } 帧，单个地址每秒 { $target } 帧。
report-pass = 阶段
report-targets = 目标
report-packets = 发送帧数
report-answers = 应答
report-seconds = 用时（秒）
report-notices = 七、说明事项
report-notices-none = 无。
report-code = 代码

# --- verify ----------------------------------------------------------------------------------------------
report-verify = 八、如何核验
report-verify-frames = 每项报文证据给出 evidence.pcapng 中的帧号，与 Wireshark 显示的编号一致；每帧的注释写明它所证明的问题编号。
report-verify-command = 在命令行核验：
report-verify-audit = 以更正后的台账重新比对（不发送任何报文）：
report-verify-secrets = 口令、团体字与会话令牌在所有文件中均以 x 覆盖，因此个别帧的校验和与原值不符，帧注释中有说明。
report-sign-inspector = 核查人员（签名）
report-sign-unit = 被核查单位（签章）
report-sign-date = 日期
report-footer = 由 { $generator } 生成 · 核查编号 { $sweep }

# --- workbook and summary --------------------------------------------------------------------------------
report-sheet-summary = 概要
report-sheet-findings = 问题清单
report-sheet-devices = 设备
report-sheet-segments = 网段
report-sheet-services = 服务
report-sheet-coverage = 覆盖范围
report-sheet-egresses = 互联网出口
report-sheet-sent = 发送与说明
report-item = 项目
report-value = 内容
report-truncated = （超出单元格上限，已截断；全文见 result.json）
report-files-beside = 文件
report-bytes = 字节
