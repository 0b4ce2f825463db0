// SPDX-License-Identifier: Apache-2.0
use crate::client::{Client, ClientNode};
use crate::error::{checked, explained, text, Error, Result};
use crate::node::Object;
use crate::operation::{Completion, Operation, Ticket};
use crate::settings::c_string;
use rstream_sys as sys;
use std::ffi::CString;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::rc::Rc;

/// What [`Client::list_tunnels`] and [`Client::list_clients`] look for: [`rstream_sys::inventory`] lists the names. All
/// that is set has to hold.
pub struct Filters {
    raw: *mut sys::rstream_filters,
}

// SAFETY: a plain value of C: it belongs to no loop, and one thread at a time uses it.
unsafe impl Send for Filters {}

impl Filters {
    /// Filters of tunnels.
    pub fn of_tunnels() -> Result<Filters> {
        Filters::new(sys::RSTREAM_TUNNELS)
    }

    /// Filters of clients.
    pub fn of_clients() -> Result<Filters> {
        Filters::new(sys::RSTREAM_CLIENTS)
    }

    fn new(resource: c_int) -> Result<Filters> {
        let mut raw = null_mut();
        // SAFETY: `raw` receives a value that is freed once.
        checked(unsafe { sys::rstream_filters_new(resource, &mut raw) })?;
        Ok(Filters { raw })
    }

    /// Sets one filter; `labels.<key>` asks for that value of a label.
    pub fn set(&mut self, name: &str, value: &str) -> Result<&mut Self> {
        let value = c_string(value)?;
        self.assign(name, value.as_ptr())
    }

    /// Takes one filter away.
    pub fn unset(&mut self, name: &str) -> Result<&mut Self> {
        self.assign(name, null())
    }

    /// Asks for a label, whatever its value is.
    pub fn require_label(&mut self, key: &str) -> Result<&mut Self> {
        let key = c_string(key)?;
        // SAFETY: the string is valid for the call.
        explained(|error| unsafe { sys::rstream_filters_require_label(self.raw, key.as_ptr(), error) })?;
        Ok(self)
    }

    pub(crate) fn raw(&self) -> *const sys::rstream_filters {
        self.raw
    }

    fn assign(&mut self, name: &str, value: *const c_char) -> Result<&mut Self> {
        let name = c_string(name)?;
        // SAFETY: the strings are valid for the call.
        explained(|error| unsafe { sys::rstream_filters_set(self.raw, name.as_ptr(), value, error) })?;
        Ok(self)
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        // SAFETY: freed once.
        unsafe { sys::rstream_filters_free(self.raw) }
    }
}

/// Tunnels or clients that are online at an engine, as it told them.
pub struct Inventory {
    raw: *mut sys::rstream_inventory,
}

impl Inventory {
    /// One that somebody else frees: the value must not be dropped, and not outlive what it is borrowed from.
    pub(crate) fn borrowed(raw: *const sys::rstream_inventory) -> Inventory {
        Inventory { raw: raw as *mut _ }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        // SAFETY: the inventory is valid.
        unsafe { sys::rstream_inventory_count(self.raw) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them, by its place.
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        if index < self.len() {
            Some(Entry { inventory: self, index })
        } else {
            None
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.len()).map(move |index| Entry { inventory: self, index })
    }

    /// All of it as one JSON document on one line, with whatever else the engine told.
    pub fn json(&self) -> &str {
        // SAFETY: the string lives as long as the inventory.
        unsafe { text(sys::rstream_inventory_json(self.raw)) }.unwrap_or_default()
    }
}

impl Drop for Inventory {
    fn drop(&mut self) {
        // SAFETY: freed once.
        unsafe { sys::rstream_inventory_free(self.raw) }
    }
}

/// One tunnel or client of an [`Inventory`].
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    inventory: &'a Inventory,
    index: usize,
}

impl<'a> Entry<'a> {
    /// A property by its name, as `id`, `name` or `labels.<key>`; lists are comma-separated.
    pub fn property(&self, name: &str) -> Option<&'a str> {
        let name = c_string(name).ok()?;
        // SAFETY: the string lives as long as the inventory.
        unsafe { text(sys::rstream_inventory_property(self.inventory.raw, self.index, name.as_ptr())) }
    }

    /// All properties that are set, with their names.
    pub fn properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let entry = *self;
        let raw = entry.inventory.raw;
        // SAFETY: the string lives as long as the inventory.
        let name = move |nth| unsafe { text(sys::rstream_inventory_property_name(raw, entry.index, nth)) };
        (0..).map_while(name).filter_map(move |name| Some((name, entry.property(name)?)))
    }

    /// Where others reach a tunnel; none for a client.
    pub fn forwarding_address(&self) -> Option<&'a str> {
        // SAFETY: the string lives as long as the inventory.
        unsafe { text(sys::rstream_inventory_forwarding_address(self.inventory.raw, self.index)) }
    }
}

/// What can be asked of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It runs.
    Live,
    /// It takes new clients.
    Ready,
    /// It accepts the client's token or certificate.
    Auth,
}

/// Questions to the engine's API. Where they fail with [`Code::ENGINE_API_HTTP`](crate::Code::ENGINE_API_HTTP), the
/// error's engine code is the status of HTTP.
impl Client {
    /// Lists live tunnels, the newest first; `limit` 0 means all.
    pub fn list_tunnels(&self, filters: Option<&Filters>, limit: usize) -> Operation<Inventory> {
        Operation::start(|completion| self.start_list(sys::rstream_client_list_tunnels, filters, limit, completion))
    }

    /// The same; `done` is called with the result.
    pub fn list_tunnels_with(
        &self,
        filters: Option<&Filters>,
        limit: usize,
        done: impl FnOnce(Result<Inventory>) + 'static,
    ) -> Result<()> {
        self.start_list(sys::rstream_client_list_tunnels, filters, limit, Completion::calling(done))
    }

    /// Lists connected clients; `limit` 0 means all.
    pub fn list_clients(&self, filters: Option<&Filters>, limit: usize) -> Operation<Inventory> {
        Operation::start(|completion| self.start_list(sys::rstream_client_list_clients, filters, limit, completion))
    }

    /// The same; `done` is called with the result.
    pub fn list_clients_with(
        &self,
        filters: Option<&Filters>,
        limit: usize,
        done: impl FnOnce(Result<Inventory>) + 'static,
    ) -> Result<()> {
        self.start_list(sys::rstream_client_list_clients, filters, limit, Completion::calling(done))
    }

    /// Asks for one live tunnel, by its id; the inventory has one entry.
    pub fn get_tunnel(&self, id: &str) -> Operation<Inventory> {
        Operation::start(|completion| self.start_get(id, completion))
    }

    /// The same; `done` is called with the result.
    pub fn get_tunnel_with(&self, id: &str, done: impl FnOnce(Result<Inventory>) + 'static) -> Result<()> {
        self.start_get(id, Completion::calling(done))
    }

    /// Asks the engine how it is; an error says that the answer is no, and why.
    pub fn check(&self, what: Check) -> Operation<()> {
        Operation::start(|completion| self.start_check(what, completion))
    }

    /// The same; `done` is called with the answer.
    pub fn check_with(&self, what: Check, done: impl FnOnce(Result<()>) + 'static) -> Result<()> {
        self.start_check(what, Completion::calling(done))
    }

    fn start_list(
        &self,
        list: ListFunction,
        filters: Option<&Filters>,
        limit: usize,
        completion: Rc<Completion<Inventory>>,
    ) -> Result<()> {
        let raw = self.node.node().raw()?;
        let filters = filters.map_or(null(), Filters::raw);
        Ticket::issue(&self.node, completion, |data| {
            // SAFETY: the client is open, the filters are valid or NULL, and `data` is the ticket that the callback redeems.
            checked(unsafe { list(raw, filters, limit, Some(listed), data) }).map(drop)
        })
    }

    fn start_get(&self, id: &str, completion: Rc<Completion<Inventory>>) -> Result<()> {
        let raw = self.node.node().raw()?;
        let id = c_string(id)?;
        Ticket::issue(&self.node, completion, |data| {
            // SAFETY: the client is open, and `data` is the ticket that the callback redeems.
            checked(unsafe { sys::rstream_client_get_tunnel(raw, id.as_ptr(), Some(listed), data) }).map(drop)
        })
    }

    fn start_check(&self, what: Check, completion: Rc<Completion<()>>) -> Result<()> {
        let raw = self.node.node().raw()?;
        let word: CString = c_string(match what {
            Check::Live => "live",
            Check::Ready => "ready",
            Check::Auth => "auth",
        })?;
        Ticket::issue(&self.node, completion, |data| {
            // SAFETY: the client is open, and `data` is the ticket that the callback redeems.
            checked(unsafe { sys::rstream_client_check(raw, word.as_ptr(), Some(answered), data) }).map(drop)
        })
    }
}

type ListFunction = unsafe extern "C" fn(
    *mut sys::rstream_client,
    *const sys::rstream_filters,
    usize,
    sys::rstream_inventory_cb,
    *mut c_void,
) -> c_int;

unsafe extern "C" fn listed(raw: *mut sys::rstream_inventory, error: *const sys::rstream_error, data: *mut c_void) {
    // SAFETY: this is the one callback of the ticket.
    let ticket = unsafe { Ticket::<ClientNode, Inventory>::redeem(data) };
    ticket.owner.node().on.clone().enter(move || {
        // SAFETY: the error is valid for the call.
        let result = match unsafe { Error::lent(error) } {
            Some(error) => Err(error),
            None => Ok(Inventory { raw }),
        };
        ticket.completion.complete(result);
    });
}

unsafe extern "C" fn answered(error: *const sys::rstream_error, data: *mut c_void) {
    // SAFETY: this is the one callback of the ticket, and the error is valid for the call.
    let (ticket, outcome) = unsafe {
        let ticket = Ticket::<ClientNode, ()>::redeem(data);
        (ticket, Error::lent(error).map_or(Ok(()), Err))
    };
    ticket.owner.node().on.clone().enter(move || ticket.completion.complete(outcome));
}

impl std::fmt::Debug for Entry<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.properties()).finish()
    }
}

impl std::fmt::Debug for Inventory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

crate::node::opaque_debug!(Filters);
