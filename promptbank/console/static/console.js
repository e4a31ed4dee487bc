// For all pages: where a session has ended, the page that asks for a key takes the place of a part that was to be swapped.
"use strict";
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr?.status === 401) window.location.reload();
});
