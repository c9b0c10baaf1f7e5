//! A NetBox by its URL: tenants are units, prefixes segments, devices devices or assets by their role.
//! `docs/registry-netbox.md` says what becomes what.
//!
//! Four lists are read page by page. Pages, octets and time are bounded; redirects are not followed and a
//! next page must stay on the server that was named, because the token goes with every question.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url, header, redirect};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::{Fault, FaultKind, LeftOut};
use super::intake::{Intake, Naming, heading_name};
use super::model::{AssetKind, Role};
use super::read::{Digest, MOST_BYTES, ReadOptions};
use super::schema::{Table, Vocabulary};
use crate::observe::Foreign;

/// Objects of one page: NetBox's own default maximum is 1000.
const PAGE: usize = 500;
const MOST_PAGES: u64 = 5_000;
/// Of one page: five hundred objects of 3 kB each, with room.
const MOST_PAGE_BYTES: u64 = 32 << 20;
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);
const ALL: Duration = Duration::from_secs(900);

/// Read the registry that a NetBox holds.
pub(super) fn read(url: &str, options: &ReadOptions, intake: &mut Intake, digest: &mut Digest) {
    // A thread of its own: whoever calls may be inside another runtime, where none can be started.
    let lists = std::thread::scope(|scope| {
        scope
            .spawn(|| fetch_all(url, options, digest))
            .join()
            .unwrap_or_else(|_| Err(FaultKind::Unreachable { why: Foreign::default() }))
    });
    match lists {
        Ok(lists) => enter(lists, intake),
        Err(kind) => {
            intake.fault(Fault::of(kind));
            intake.broken = true;
        }
    }
}

#[derive(Debug, Default)]
struct Lists {
    devices: Vec<Device>,
    prefixes: Vec<Prefix>,
    addresses: Vec<Address>,
    services: Vec<Service>,
}

/// As much of the objects as is used; NetBox adds fields with every release.
#[derive(Debug, Deserialize)]
struct Page<T> {
    next: Option<String>,
    results: Vec<T>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Named {
    id: u64,
    name: Option<String>,
    slug: Option<String>,
    display: Option<String>,
    model: Option<String>,
    manufacturer: Option<Box<Named>>,
    vid: Option<u16>,
    address: Option<String>,
    device: Option<Box<Named>>,
    virtual_machine: Option<Box<Named>>,
    mac_address: Option<String>,
}

/// `{"value": "active", "label": "Active"}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Choice {
    value: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Device {
    id: u64,
    name: Option<String>,
    display: Option<String>,
    tenant: Option<Named>,
    /// `device_role` before NetBox 3.6.
    #[serde(alias = "device_role")]
    role: Option<Named>,
    device_type: Option<Named>,
    serial: Option<String>,
    status: Option<Choice>,
    primary_ip4: Option<Named>,
    primary_ip6: Option<Named>,
    custom_fields: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Prefix {
    id: u64,
    prefix: String,
    tenant: Option<Named>,
    status: Option<Choice>,
    vlan: Option<Named>,
    role: Option<Named>,
    description: Option<String>,
    custom_fields: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    id: u64,
    address: String,
    tenant: Option<Named>,
    status: Option<Choice>,
    assigned_object: Option<Named>,
    dns_name: Option<String>,
    description: Option<String>,
    custom_fields: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Service {
    id: u64,
    name: Option<String>,
    protocol: Option<Choice>,
    ports: Vec<u16>,
    ipaddresses: Vec<Named>,
    /// Before NetBox 4.3; from then on `parent` with its type beside it.
    device: Option<Named>,
    parent: Option<Named>,
    parent_object_type: Option<String>,
    custom_fields: Map<String, Value>,
}

// --- fetching

fn fetch_all(url: &str, options: &ReadOptions, digest: &mut Digest) -> Result<Lists, FaultKind> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| FaultKind::Io { error: error.kind() })?;
    runtime.block_on(async {
        let timed_out = |_| unreachable("timed out");
        tokio::time::timeout(ALL, fetch(url, options, digest)).await.map_err(timed_out)?
    })
}

async fn fetch(url: &str, options: &ReadOptions, digest: &mut Digest) -> Result<Lists, FaultKind> {
    let mut session = Session::open(url, options)?;
    Ok(Lists {
        prefixes: session.list("ipam/prefixes", digest).await?,
        devices: session.list("dcim/devices", digest).await?,
        addresses: session.list("ipam/ip-addresses", digest).await?,
        services: session.list("ipam/services", digest).await?,
    })
}

struct Session {
    client: Client,
    /// Up to and with `…/api/`.
    base: Url,
    bytes_left: u64,
}

impl Session {
    fn open(url: &str, options: &ReadOptions) -> Result<Session, FaultKind> {
        // One provider in the process; that it is installed already is no fault.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut base: Url = url.parse().map_err(|error| not_netbox(&error))?;
        base.set_query(None);
        base.set_fragment(None);
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix("/api").unwrap_or(path);
        let path = format!("{path}/api/");
        base.set_path(&path);
        let mut headers = header::HeaderMap::new();
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
        if let Some(token) = &options.token {
            // Tokens of the second version (NetBox 4.5) say by their first letters what they are.
            let scheme = if token.secret().starts_with("nbt_") { "Bearer" } else { "Token" };
            let value = format!("{scheme} {}", token.secret());
            let mut value = header::HeaderValue::from_str(&value)
                .map_err(|_| FaultKind::Answered { status: 401 })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let mut builder = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("jiebei/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(ANSWER);
        if let Some(path) = &options.roots {
            let pem = super::read::bounded(path)?;
            let roots =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unreachable(&error))?;
            builder = builder.tls_certs_merge(roots);
        }
        let client = builder.build().map_err(|error| unreachable(&error))?;
        Ok(Session { client, base, bytes_left: MOST_BYTES })
    }

    /// All objects of a list.
    async fn list<T: for<'de> Deserialize<'de>>(
        &mut self,
        list: &str,
        digest: &mut Digest,
    ) -> Result<Vec<T>, FaultKind> {
        let mut next =
            self.base.join(&format!("{list}/?limit={PAGE}")).map_err(|e| not_netbox(&e))?;
        let mut objects = Vec::new();
        for _ in 0..MOST_PAGES {
            let body = self.get(next.clone()).await?;
            digest.piece(list, &body);
            let mut json = serde_json::Deserializer::from_slice(&body);
            let page: Page<T> =
                serde_path_to_error::deserialize(&mut json).map_err(|error| not_netbox(&error))?;
            let was_empty = page.results.is_empty();
            objects.extend(page.results);
            let Some(link) = page.next else { return Ok(objects) };
            if was_empty {
                return Err(not_netbox(&"an empty page that is not the last"));
            }
            next = next.join(&link).map_err(|error| not_netbox(&error))?;
            if next.origin() != self.base.origin() {
                return Err(FaultKind::LeavesOrigin);
            }
        }
        Err(FaultKind::TooManyPages { most: MOST_PAGES })
    }

    async fn get(&mut self, url: Url) -> Result<Vec<u8>, FaultKind> {
        let mut answer = self.client.get(url).send().await.map_err(|error| unreachable(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(FaultKind::Answered { status: answer.status().as_u16() });
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
            let length = chunk.len() as u64;
            if (body.len() as u64).saturating_add(length) > MOST_PAGE_BYTES {
                return Err(FaultKind::TooLarge { most_bytes: MOST_PAGE_BYTES });
            }
            self.bytes_left = self
                .bytes_left
                .checked_sub(length)
                .ok_or(FaultKind::TooLarge { most_bytes: MOST_BYTES })?;
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn not_netbox(error: &dyn Display) -> FaultKind {
    FaultKind::NotNetBox { why: Foreign::new(&error.to_string()) }
}

/// With the causes, which say more than 'error sending request'.
fn unreachable(error: &(impl Display + ?Sized + Causes)) -> FaultKind {
    FaultKind::Unreachable { why: Foreign::new(&error.causes()) }
}

trait Causes {
    fn causes(&self) -> String;
}

impl Causes for reqwest::Error {
    fn causes(&self) -> String {
        // The URL may carry a password.
        let mut text = if self.is_timeout() { "timed out".to_owned() } else { String::new() };
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl Causes for str {
    fn causes(&self) -> String {
        self.to_owned()
    }
}

// --- entering

/// A row: heading and text of each filled cell.
type Row = Vec<(String, String)>;

/// The rows of each table, with the ids of the objects they came from.
#[derive(Default)]
struct Rows {
    units: Vec<(u64, Row)>,
    segments: Vec<(u64, Row)>,
    devices: Vec<(u64, Row)>,
    assets: Vec<(u64, Row)>,
    services: Vec<(u64, Row)>,
    left_out: HashMap<(Table, &'static str), (LeftOut, u64)>,
}

impl Rows {
    fn leave_out(&mut self, table: Table, list: &'static str, why: LeftOut) {
        // One entry a list and reason.
        let key = match why {
            LeftOut::WithoutTenant => (table, list),
            LeftOut::NotInUse => (table, "status"),
            LeftOut::WithoutAddress => (table, "address"),
            LeftOut::OtherProtocol => (table, "protocol"),
        };
        let entry = self.left_out.entry(key).or_insert((why, 0));
        entry.1 = entry.1.saturating_add(1);
    }

    /// The unit of a tenant, noted when it is first met.
    fn unit(&mut self, tenant: Option<&Named>) -> Option<String> {
        let tenant = tenant?;
        let code = tenant.slug.clone().or_else(|| tenant.name.clone())?;
        let is_known =
            self.units.iter().any(|(_, row)| row.first().is_some_and(|(_, unit)| *unit == code));
        if !is_known {
            let mut row = vec![("unit".to_owned(), code.clone())];
            put(&mut row, "name", tenant.name.as_deref());
            self.units.push((tenant.id, row));
        }
        Some(code)
    }
}

fn put(row: &mut Row, heading: &str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        row.push((heading.to_owned(), text.to_owned()));
    }
}

/// Custom fields named as a column of the table, in either language, outweigh what was derived.
fn put_custom(row: &mut Row, table: Table, fields: &Map<String, Value>) {
    for (name, value) in fields {
        let Some(column) = heading_name(table, name) else { continue };
        let text = plain(value);
        if text.is_empty() {
            continue;
        }
        row.retain(|(heading, _)| heading != column);
        row.push((column.to_owned(), text));
    }
}

/// A custom field's value as a cell.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => if *value { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            values.iter().map(plain).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
        }
        // A selection, or an object that it points to.
        Value::Object(fields) => ["value", "name", "display"]
            .iter()
            .find_map(|key| fields.get(*key))
            .map(plain)
            .unwrap_or_default(),
    }
}

/// `10.20.1.7/24` without its length.
fn host(address: &str) -> &str {
    address.split_once('/').map_or(address, |(host, _)| host)
}

fn status(choice: Option<&Choice>) -> &str {
    choice.and_then(|choice| choice.value.as_deref()).unwrap_or("active")
}

/// The words of a role's slug and name that are ours: `edge-firewall` is a firewall.
fn words_of<V: Vocabulary>(role: Option<&Named>) -> Vec<&'static str> {
    let Some(role) = role else { return Vec::new() };
    let mut found = Vec::new();
    for text in [role.slug.as_deref(), role.name.as_deref()].into_iter().flatten() {
        let parts = text.split(|c: char| !c.is_alphanumeric()).chain([text]);
        for value in parts.filter_map(V::of_word) {
            let word = value.word();
            if !found.contains(&word) {
                found.push(word);
            }
        }
    }
    found
}

fn enter(lists: Lists, intake: &mut Intake) {
    let mut rows = Rows::default();
    for prefix in &lists.prefixes {
        segment(prefix, &mut rows);
    }
    let mut of_device: HashMap<u64, Vec<String>> = HashMap::new();
    let mut macs: HashMap<u64, Vec<String>> = HashMap::new();
    let mut tenant_of: HashMap<IpAddr, String> = HashMap::new();
    for device in &lists.devices {
        for ip in [&device.primary_ip4, &device.primary_ip6].into_iter().flatten() {
            if let Some(address) = &ip.address {
                of_device.entry(device.id).or_default().push(host(address).to_owned());
            }
        }
    }
    let mut loose: Vec<(String, &Address, Option<&str>)> = Vec::new();
    for address in &lists.addresses {
        if matches!(status(address.status.as_ref()), "deprecated" | "reserved") {
            rows.leave_out(Table::Assets, "status", LeftOut::NotInUse);
            continue;
        }
        let assigned = address.assigned_object.as_ref();
        if let Some(device) = assigned.and_then(|interface| interface.device.as_ref()) {
            let addresses = of_device.entry(device.id).or_default();
            let ip = host(&address.address).to_owned();
            if !addresses.contains(&ip) {
                addresses.push(ip);
            }
            if let Some(mac) = assigned.and_then(|interface| interface.mac_address.clone()) {
                let macs = macs.entry(device.id).or_default();
                if !macs.contains(&mac) {
                    macs.push(mac);
                }
            }
            continue;
        }
        let Some(unit) = rows.unit(address.tenant.as_ref()) else {
            rows.leave_out(Table::Assets, "ipam/ip-addresses", LeftOut::WithoutTenant);
            continue;
        };
        if let Ok(ip) = host(&address.address).parse() {
            tenant_of.insert(ip, unit.clone());
        }
        let machine = assigned
            .and_then(|interface| interface.virtual_machine.as_ref())
            .and_then(|machine| machine.name.as_deref());
        loose.push((unit, address, machine));
    }
    let mut units_of_devices: HashMap<u64, String> = HashMap::new();
    for entry in &lists.devices {
        if let Some(unit) = device(entry, &of_device, &macs, &mut rows) {
            units_of_devices.insert(entry.id, unit);
        }
    }
    assets(&loose, &mut rows);
    for entry in &lists.services {
        service(entry, &of_device, &units_of_devices, &tenant_of, &mut rows);
    }
    fill(rows, intake);
}

fn segment(prefix: &Prefix, rows: &mut Rows) {
    if status(prefix.status.as_ref()) != "active" {
        return rows.leave_out(Table::Segments, "status", LeftOut::NotInUse);
    }
    let Some(unit) = rows.unit(prefix.tenant.as_ref()) else {
        return rows.leave_out(Table::Segments, "ipam/prefixes", LeftOut::WithoutTenant);
    };
    let mut row = vec![("unit".to_owned(), unit), ("prefix".to_owned(), prefix.prefix.clone())];
    let role = prefix.role.as_ref().and_then(|role| role.name.as_deref());
    put(&mut row, "purpose", role.or(prefix.description.as_deref()));
    let vlan = prefix.vlan.as_ref().and_then(|vlan| vlan.vid).map(|vid| vid.to_string());
    put(&mut row, "vlan", vlan.as_deref());
    put_custom(&mut row, Table::Segments, &prefix.custom_fields);
    rows.segments.push((prefix.id, row));
}

fn device(
    device: &Device,
    addresses: &HashMap<u64, Vec<String>>,
    macs: &HashMap<u64, Vec<String>>,
    rows: &mut Rows,
) -> Option<String> {
    let status = status(device.status.as_ref());
    let mut roles = words_of::<Role>(device.role.as_ref());
    let custom_roles = device.custom_fields.iter().any(|(name, value)| {
        heading_name(Table::Devices, name) == Some("roles") && !plain(value).is_empty()
    });
    let is_device = custom_roles || !roles.is_empty();
    let table = if is_device { Table::Devices } else { Table::Assets };
    if matches!(status, "planned" | "staged" | "inventory") {
        rows.leave_out(table, "status", LeftOut::NotInUse);
        return None;
    }
    let Some(unit) = rows.unit(device.tenant.as_ref()) else {
        rows.leave_out(table, "dcim/devices", LeftOut::WithoutTenant);
        return None;
    };
    let name = device.name.clone().or_else(|| device.display.clone());
    let name = name.unwrap_or_else(|| format!("#{}", device.id));
    let mut row = vec![("unit".to_owned(), unit.clone()), ("name".to_owned(), name)];
    let joined = |map: &HashMap<u64, Vec<String>>| map.get(&device.id).map(|list| list.join("; "));
    put(&mut row, "ip", joined(addresses).as_deref());
    put(&mut row, "mac", joined(macs).as_deref());
    if is_device {
        roles.sort_unstable();
        put(&mut row, "roles", Some(&roles.join("; ")));
        let kind = device.device_type.as_ref();
        let maker = kind.and_then(|kind| kind.manufacturer.as_ref());
        put(&mut row, "vendor", maker.and_then(|maker| maker.name.as_deref()));
        put(&mut row, "model", kind.and_then(|kind| kind.model.as_deref()));
        put(&mut row, "serial", device.serial.as_deref());
        put_custom(&mut row, Table::Devices, &device.custom_fields);
        rows.devices.push((device.id, row));
    } else {
        let kind = words_of::<AssetKind>(device.role.as_ref());
        put(&mut row, "kind", kind.first().copied());
        let retired = status == "decommissioning";
        put(&mut row, "status", Some(if retired { "retired" } else { "online" }));
        put_custom(&mut row, Table::Assets, &device.custom_fields);
        rows.assets.push((device.id, row));
    }
    Some(unit)
}

/// Addresses without a device: those of one virtual machine are one asset, any other is its own.
fn assets(loose: &[(String, &Address, Option<&str>)], rows: &mut Rows) {
    let mut machines: HashMap<(&str, &str), usize> = HashMap::new();
    for (unit, address, machine) in loose {
        let ip = host(&address.address);
        if let Some(at) = machine.and_then(|name| machines.get(&(unit.as_str(), name)))
            && let Some((_, row)) = rows.assets.get_mut(*at)
        {
            if let Some((_, cell)) = row.iter_mut().find(|(heading, _)| heading == "ip") {
                cell.push_str("; ");
                cell.push_str(ip);
            }
            continue;
        }
        let written = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let name = machine
            .map(str::to_owned)
            .or_else(|| written(&address.dns_name))
            .or_else(|| written(&address.description))
            .unwrap_or_else(|| ip.to_owned());
        let mut row = vec![
            ("unit".to_owned(), unit.clone()),
            ("name".to_owned(), name),
            ("ip".to_owned(), ip.to_owned()),
        ];
        if let Some(machine) = machine {
            put(&mut row, "kind", Some("server"));
            machines.insert((unit, machine), rows.assets.len());
        }
        put_custom(&mut row, Table::Assets, &address.custom_fields);
        rows.assets.push((address.id, row));
    }
}

fn service(
    service: &Service,
    addresses: &HashMap<u64, Vec<String>>,
    units: &HashMap<u64, String>,
    tenant_of: &HashMap<IpAddr, String>,
    rows: &mut Rows,
) {
    let protocol = service.protocol.as_ref().and_then(|protocol| protocol.value.as_deref());
    let Some(protocol @ ("tcp" | "udp")) = protocol else {
        return rows.leave_out(Table::Services, "protocol", LeftOut::OtherProtocol);
    };
    let is_of_device =
        service.parent_object_type.as_deref().is_none_or(|kind| kind == "dcim.device");
    let parent = service.parent.as_ref().filter(|_| is_of_device).or(service.device.as_ref());
    let bound: Vec<String> = service
        .ipaddresses
        .iter()
        .filter_map(|ip| ip.address.as_deref())
        .map(|address| host(address).to_owned())
        .collect();
    // Bound to no address it is reached by any of its device.
    let bound = match parent {
        Some(parent) if bound.is_empty() => addresses.get(&parent.id).cloned().unwrap_or_default(),
        _ => bound,
    };
    if bound.is_empty() {
        return rows.leave_out(Table::Services, "address", LeftOut::WithoutAddress);
    }
    for ip in &bound {
        let of_address = || tenant_of.get(&ip.parse().ok()?).cloned();
        let Some(unit) =
            parent.and_then(|parent| units.get(&parent.id).cloned()).or_else(of_address)
        else {
            rows.leave_out(Table::Services, "ipam/services", LeftOut::WithoutTenant);
            continue;
        };
        for port in &service.ports {
            let mut row = vec![
                ("unit".to_owned(), unit.clone()),
                ("ip".to_owned(), ip.clone()),
                ("port".to_owned(), format!("{protocol}/{port}")),
            ];
            put(&mut row, "system", service.name.as_deref());
            put_custom(&mut row, Table::Services, &service.custom_fields);
            rows.services.push((service.id, row));
        }
    }
}

fn fill(rows: Rows, intake: &mut Intake) {
    // A NetBox knows no egress; what it does not hold is not missing in it.
    intake.excused.push(Table::Egresses);
    for (table, list, rows) in [
        (Table::Units, "tenancy/tenants", rows.units),
        (Table::Segments, "ipam/prefixes", rows.segments),
        (Table::Devices, "dcim/devices", rows.devices),
        (Table::Assets, "dcim/devices", rows.assets),
        (Table::Services, "ipam/services", rows.services),
    ] {
        if let Some(mut sheet) = intake.open(table, list, Naming::Keys) {
            for (id, row) in rows {
                if !sheet.keyed(id, row) {
                    break;
                }
            }
            sheet.close();
        }
    }
    let mut left_out: Vec<_> = rows.left_out.into_iter().collect();
    left_out.sort_by_key(|(key, _)| *key);
    for ((table, _), (why, count)) in left_out {
        let kind = FaultKind::LeftOut { why, count };
        intake.fault(Fault::in_file(kind, Some(table), "NetBox"));
    }
}
