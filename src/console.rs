//! The console: a web page for people, at `/console` of every node's port.
//!
//! Plain HTML, CSS and JavaScript modules, compiled into the program: nothing is built, nothing is fetched from elsewhere,
//! and it works without internet. It uses the public API only (`api::http`), signed as any client's requests are; so
//! it may do what its user's access key may, and this room serves nothing but files.
//!
//! What is stored in tables never becomes markup: the page builds text nodes (`dom.js`), and forbids itself inline
//! scripts, inline styles, other origins and frames by its content security policy.
//!
//! Every file costs a browser about 4 ms, whatever is in it. So the first page needs few of them, all named in `index.html`
//! to be fetched side by side; what it can do without (plots, dialogs, signing, the other pages) is imported when it is
//! needed, and read ahead once the first page is there. `tests/console/run --loading` measures it.
//!
//! Deliberately absent: sessions and cookies (a key lives in the tab that was told it), any state of its own.

mod files;

pub use files::routes;
