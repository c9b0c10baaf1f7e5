//! The tables, their columns and the words in them: contract §2, each name in English and Chinese.
//!
//! Everything that reads, writes or describes a registry takes names from here.

use std::fmt;

use super::model::{
    AssetKind, EgressKind, Level, NoticeKind, OnlineStatus, Registration, Role, UnitStatus,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    Units,
    Segments,
    Devices,
    Egresses,
    Assets,
    Services,
    Notices,
    Waivers,
}

impl Table {
    /// In the order in which they are read: a table names only what stands before it.
    pub const ALL: [Table; 8] = [
        Table::Units,
        Table::Segments,
        Table::Devices,
        Table::Egresses,
        Table::Assets,
        Table::Services,
        Table::Notices,
        Table::Waivers,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Table::Units => "units",
            Table::Segments => "segments",
            Table::Devices => "devices",
            Table::Egresses => "egresses",
            Table::Assets => "assets",
            Table::Services => "services",
            Table::Notices => "notices",
            Table::Waivers => "waivers",
        }
    }

    pub const fn chinese(self) -> &'static str {
        match self {
            Table::Units => "接入单位",
            Table::Segments => "接入网段",
            Table::Devices => "接口网络设备",
            Table::Egresses => "互联网出口",
            Table::Assets => "资产",
            Table::Services => "信息系统与服务",
            Table::Notices => "变更告知",
            Table::Waivers => "例外",
        }
    }

    /// A registry without them is whole.
    pub const fn is_optional(self) -> bool {
        matches!(self, Table::Notices | Table::Waivers)
    }

    /// The table that a file or a sheet of this name holds, in either language, in any case.
    pub fn of_name(name: &str) -> Option<Table> {
        let name = name.trim().to_lowercase();
        Table::ALL.into_iter().find(|table| table.name() == name || table.chinese() == name)
    }

    /// In the order of the contract.
    pub const fn columns(self) -> &'static [Column] {
        use Column::*;
        match self {
            Table::Units => &[Unit, Name, Level, Parent, Status, WithdrawnOn, Contact, Phone],
            Table::Segments => {
                &[Unit, Prefix, Purpose, Vlan, Registration, Approval, ValidFrom, ValidUntil]
            }
            Table::Devices => &[
                Unit,
                Name,
                Roles,
                Ip,
                Mac,
                Vendor,
                Model,
                Serial,
                SshHostKey,
                TlsCertSha256,
                SnmpSysobjectid,
                Ports,
                OperatorOwned,
                Approval,
                ValidUntil,
            ],
            Table::Egresses => &[Unit, Name, Kind, Gateway, Public, Filing, ValidFrom, ValidUntil],
            Table::Assets => &[Unit, Name, Ip, Mac, Kind, System, Status, Approval],
            Table::Services => {
                &[Unit, System, Ip, Port, Filing, Status, InternetFacing, ValidUntil]
            }
            Table::Notices => &[Unit, Notice, Kind, Subject, From, Until, Approval],
            Table::Waivers => &[Rule, Unit, Subject, Until, Reason, Approval],
        }
    }

    /// The columns that make a row what it is: no two rows agree in all of them, none is empty.
    pub const fn key(self) -> &'static [Column] {
        use Column::*;
        match self {
            Table::Units => &[Unit],
            Table::Segments => &[Prefix],
            Table::Devices | Table::Egresses | Table::Assets => &[Unit, Name],
            Table::Services => &[Ip, Port],
            Table::Notices => &[Notice],
            Table::Waivers => &[],
        }
    }

    /// Columns without which a row says nothing: the key, whose it is, and what a notice or a waiver is.
    pub const fn required(self) -> &'static [Column] {
        use Column::*;
        match self {
            Table::Units => &[Unit],
            Table::Segments => &[Unit, Prefix],
            Table::Devices | Table::Egresses | Table::Assets => &[Unit, Name],
            Table::Services => &[Unit, Ip, Port],
            Table::Notices => &[Unit, Notice, Kind],
            Table::Waivers => &[Rule],
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A column of one or several tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    Unit,
    Name,
    Level,
    Parent,
    Status,
    WithdrawnOn,
    Contact,
    Phone,
    Prefix,
    Purpose,
    Vlan,
    Registration,
    Approval,
    ValidFrom,
    ValidUntil,
    Roles,
    Ip,
    Mac,
    Vendor,
    Model,
    Serial,
    SshHostKey,
    TlsCertSha256,
    SnmpSysobjectid,
    Ports,
    OperatorOwned,
    Kind,
    Gateway,
    Public,
    Filing,
    System,
    Port,
    InternetFacing,
    Notice,
    Subject,
    From,
    Until,
    Rule,
    Reason,
}

impl Column {
    pub const COUNT: usize = 39;

    pub const fn name(self) -> &'static str {
        self.names().0
    }

    /// Every Chinese name, the contract's first; each holds in every table that has the column.
    pub const fn aliases(self) -> &'static [&'static str] {
        self.names().1
    }

    const fn names(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Column::Unit => ("unit", &["单位编码", "接入单位编码", "单位代码"]),
            Column::Name => ("name", &["名称", "单位名称", "设备名称", "出口名称", "资产名称"]),
            Column::Level => ("level", &["层级"]),
            Column::Parent => ("parent", &["上级单位编码", "上级单位"]),
            Column::Status => ("status", &["状态"]),
            Column::WithdrawnOn => ("withdrawn_on", &["撤销日期"]),
            Column::Contact => ("contact", &["联系人"]),
            Column::Phone => ("phone", &["联系电话", "电话"]),
            Column::Prefix => ("prefix", &["网段"]),
            Column::Purpose => ("purpose", &["用途"]),
            Column::Vlan => ("vlan", &["vlan号", "vlan编号"]),
            Column::Registration => ("registration", &["登记方式"]),
            Column::Approval => ("approval", &["批准文号"]),
            Column::ValidFrom => ("valid_from", &["生效日期"]),
            Column::ValidUntil => ("valid_until", &["失效日期"]),
            Column::Roles => ("roles", &["角色"]),
            Column::Ip => ("ip", &["ip地址", "地址"]),
            Column::Mac => ("mac", &["mac地址"]),
            Column::Vendor => ("vendor", &["厂商"]),
            Column::Model => ("model", &["型号"]),
            Column::Serial => ("serial", &["序列号"]),
            Column::SshHostKey => ("ssh_host_key", &["ssh主机密钥", "ssh主机密钥指纹"]),
            Column::TlsCertSha256 => ("tls_cert_sha256", &["tls证书指纹"]),
            Column::SnmpSysobjectid => ("snmp_sysobjectid", &["snmp系统对象标识", "sysobjectid"]),
            Column::Ports => ("ports", &["开放端口"]),
            Column::OperatorOwned => ("operator_owned", &["运行机构设备"]),
            Column::Kind => ("kind", &["类型", "类别"]),
            Column::Gateway => ("gateway", &["网关"]),
            Column::Public => ("public", &["公网地址"]),
            Column::Filing => ("filing", &["备案号"]),
            Column::System => ("system", &["所属系统", "系统名称", "信息系统"]),
            Column::Port => ("port", &["端口"]),
            Column::InternetFacing => ("internet_facing", &["面向互联网"]),
            Column::Notice => ("notice", &["告知编号"]),
            Column::Subject => ("subject", &["对象"]),
            Column::From => ("from", &["开始", "开始日期"]),
            Column::Until => ("until", &["结束", "截止", "结束日期", "截止日期"]),
            Column::Rule => ("rule", &["规则"]),
            Column::Reason => ("reason", &["理由"]),
        }
    }

    /// The Chinese heading that a table of this kind is written with.
    pub const fn chinese(self, table: Table) -> &'static str {
        match (self, table) {
            (Column::Unit, _) => "单位编码",
            (Column::Name, Table::Units) => "单位名称",
            (Column::Name, Table::Devices) => "设备名称",
            (Column::Name, Table::Egresses) => "出口名称",
            (Column::Name, Table::Assets) => "资产名称",
            (Column::Name, _) => "名称",
            (Column::Kind, Table::Egresses) => "类型",
            (Column::Kind, _) => "类别",
            (Column::Until, Table::Waivers) => "截止",
            (Column::Level, _) => "层级",
            (Column::Parent, _) => "上级单位编码",
            (Column::Status, _) => "状态",
            (Column::WithdrawnOn, _) => "撤销日期",
            (Column::Contact, _) => "联系人",
            (Column::Phone, _) => "联系电话",
            (Column::Prefix, _) => "网段",
            (Column::Purpose, _) => "用途",
            (Column::Vlan, _) => "VLAN",
            (Column::Registration, _) => "登记方式",
            (Column::Approval, _) => "批准文号",
            (Column::ValidFrom, _) => "生效日期",
            (Column::ValidUntil, _) => "失效日期",
            (Column::Roles, _) => "角色",
            (Column::Ip, _) => "IP地址",
            (Column::Mac, _) => "MAC地址",
            (Column::Vendor, _) => "厂商",
            (Column::Model, _) => "型号",
            (Column::Serial, _) => "序列号",
            (Column::SshHostKey, _) => "SSH主机密钥",
            (Column::TlsCertSha256, _) => "TLS证书指纹",
            (Column::SnmpSysobjectid, _) => "sysObjectID",
            (Column::Ports, _) => "开放端口",
            (Column::OperatorOwned, _) => "运行机构设备",
            (Column::Gateway, _) => "网关",
            (Column::Public, _) => "公网地址",
            (Column::Filing, _) => "备案号",
            (Column::System, _) => "所属系统",
            (Column::Port, _) => "端口",
            (Column::InternetFacing, _) => "面向互联网",
            (Column::Notice, _) => "告知编号",
            (Column::Subject, _) => "对象",
            (Column::From, _) => "开始",
            (Column::Until, _) => "结束",
            (Column::Rule, _) => "规则",
            (Column::Reason, _) => "理由",
        }
    }

    /// Several values may stand in one cell.
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Column::Roles
                | Column::Ip
                | Column::Mac
                | Column::SshHostKey
                | Column::TlsCertSha256
                | Column::Ports
                | Column::Public
                | Column::Subject
        )
    }

    /// The words that may stand in this column of this table; empty where it takes no words.
    pub fn words(self, table: Table) -> Vec<Word> {
        match (self, table) {
            (Column::Level, _) => words::<Level>(),
            (Column::Status, Table::Units) => words::<UnitStatus>(),
            (Column::Status, _) => words::<OnlineStatus>(),
            (Column::Registration, _) => words::<Registration>(),
            (Column::Roles, _) => words::<Role>(),
            (Column::OperatorOwned | Column::InternetFacing, _) => words::<bool>(),
            (Column::Kind, Table::Egresses) => words::<EgressKind>(),
            (Column::Kind, Table::Assets) => words::<AssetKind>(),
            (Column::Kind, Table::Notices) => words::<NoticeKind>(),
            (Column::Rule, _) => RULES.iter().map(|name| (*name, &[] as &[&str])).collect(),
            _ => Vec::new(),
        }
    }
}

/// A word in English and its Chinese forms, the one to write first.
pub type Word = (&'static str, &'static [&'static str]);

/// A closed set of words. The first form of each is written, all are read.
pub trait Vocabulary: Sized + Copy + PartialEq + 'static {
    const WORDS: &'static [(Self, &'static str, &'static [&'static str])];

    /// The value of a word, in either language and any case.
    fn of_word(word: &str) -> Option<Self> {
        let lower = word.to_lowercase();
        Self::WORDS
            .iter()
            .find(|(_, name, chinese)| *name == lower || chinese.iter().any(|form| *form == lower))
            .map(|(value, _, _)| *value)
    }

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(value, _, _)| *value == self).map_or("", |(_, name, _)| name)
    }

    fn chinese(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(value, _, _)| *value == self)
            .and_then(|(_, _, chinese)| chinese.first())
            .copied()
            .unwrap_or("")
    }
}

fn words<V: Vocabulary>() -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (_, name, chinese) in V::WORDS {
        words.push((name, chinese));
    }
    words
}

impl Vocabulary for Level {
    const WORDS: &'static [(Level, &'static str, &'static [&'static str])] = &[
        (Level::Province, "province", &["省", "省级"]),
        (Level::City, "city", &["市", "市级", "市州", "州"]),
        (Level::County, "county", &["县", "县级", "区", "区县", "县区", "县市区"]),
    ];
}

impl Vocabulary for UnitStatus {
    const WORDS: &'static [(UnitStatus, &'static str, &'static [&'static str])] = &[
        (UnitStatus::Active, "active", &["在用", "正常", "启用"]),
        (UnitStatus::Withdrawn, "withdrawn", &["撤销", "停用", "已撤销"]),
    ];
}

impl Vocabulary for Registration {
    const WORDS: &'static [(Registration, &'static str, &'static [&'static str])] = &[
        (Registration::Closed, "closed", &["封闭", "封闭式"]),
        (Registration::Open, "open", &["开放", "开放式"]),
    ];
}

impl Vocabulary for Role {
    const WORDS: &'static [(Role, &'static str, &'static [&'static str])] = &[
        (Role::Gateway, "gateway", &["网关"]),
        (Role::Router, "router", &["路由器", "路由"]),
        (Role::Firewall, "firewall", &["防火墙"]),
        (Role::Switch, "switch", &["交换机", "交换"]),
        (Role::Nat, "nat", &["地址转换", "网络地址转换"]),
        (Role::Proxy, "proxy", &["代理", "代理服务器"]),
        (Role::Resolver, "resolver", &["域名解析", "解析", "dns"]),
        (Role::Dhcp, "dhcp", &["地址分配", "dhcp服务器"]),
        (Role::Wireless, "wireless", &["无线", "无线接入"]),
        (Role::Vpn, "vpn", &["虚拟专网", "虚拟专用网"]),
    ];
}

impl Vocabulary for EgressKind {
    const WORDS: &'static [(EgressKind, &'static str, &'static [&'static str])] = &[
        (EgressKind::Unified, "unified", &["统一", "统一出口"]),
        (EgressKind::Separate, "separate", &["另行", "另行出口", "另行设置"]),
    ];
}

impl Vocabulary for AssetKind {
    const WORDS: &'static [(AssetKind, &'static str, &'static [&'static str])] = &[
        (AssetKind::Server, "server", &["服务器"]),
        (AssetKind::Terminal, "terminal", &["终端", "计算机", "电脑"]),
        (AssetKind::Printer, "printer", &["打印机"]),
        (AssetKind::Phone, "phone", &["电话", "话机", "电话机"]),
        (AssetKind::Camera, "camera", &["摄像头", "摄像机"]),
        (AssetKind::Other, "other", &["其他", "其它"]),
    ];
}

impl Vocabulary for OnlineStatus {
    const WORDS: &'static [(OnlineStatus, &'static str, &'static [&'static str])] = &[
        (OnlineStatus::Online, "online", &["在用", "在线", "正常", "启用"]),
        (OnlineStatus::Retired, "retired", &["停用", "下线", "撤销", "退役", "已下线"]),
    ];
}

impl Vocabulary for NoticeKind {
    const WORDS: &'static [(NoticeKind, &'static str, &'static [&'static str])] = &[
        (NoticeKind::Debugging, "debugging", &["调试"]),
        (NoticeKind::Change, "change", &["变更"]),
        (NoticeKind::Outage, "outage", &["停机", "中断", "停运"]),
        (NoticeKind::Move, "move", &["搬迁", "迁移"]),
    ];
}

impl Vocabulary for bool {
    const WORDS: &'static [(bool, &'static str, &'static [&'static str])] =
        &[(true, "yes", &["是", "true", "y", "1"]), (false, "no", &["否", "false", "n", "0"])];
}

/// The rules of contract §5, which a waiver may name.
pub const RULES: &[&str] = &[
    "unregistered-segment",
    "foreign-segment",
    "unregistered-device",
    "asset-mismatch",
    "unregistered-router",
    "rogue-dhcp-server",
    "rogue-router-advertisement",
    "hidden-network",
    "multi-homed-device",
    "unregistered-tunnel",
    "wireless-access-point",
    "interface-device-replaced",
    "interface-device-changed",
    "interface-device-missing",
    "access-after-withdrawal",
    "unregistered-egress",
    "egress-mismatch",
    "egress-filing-expired",
    "unregistered-service",
    "retired-system-online",
    "filing-expired",
    "registered-asset-absent",
    "risky-service",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_means_two_things_in_one_column() {
        for table in Table::ALL {
            for column in table.columns() {
                let mut seen = std::collections::BTreeSet::new();
                for (name, chinese) in column.words(table) {
                    for form in std::iter::once(&name).chain(chinese) {
                        assert!(seen.insert(*form), "{table} {} {form}", column.name());
                        assert_eq!(*form, form.to_lowercase());
                    }
                }
            }
        }
    }

    #[test]
    fn no_heading_means_two_columns_of_one_table() {
        for table in Table::ALL {
            let mut seen = std::collections::BTreeMap::new();
            for column in table.columns() {
                for name in std::iter::once(&column.name()).chain(column.aliases()) {
                    assert_eq!(seen.insert(*name, column), None, "{table} {name}");
                }
                assert!((*column as usize) < Column::COUNT);
            }
        }
    }
}
