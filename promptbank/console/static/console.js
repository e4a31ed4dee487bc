// For all pages. Where a session has ended, the page that asks for a key takes the place of a part that was to be swapped;
// what carries data-follow is replaced by what its server-sent events bring.
"use strict";
(() => {
  function follow(place) {
    const events = new EventSource(place.dataset.follow);
    events.addEventListener("message", (event) => {
      const focused = document.activeElement?.id;
      const open = [...place.querySelectorAll("details")].map((one) => one.open);
      place.innerHTML = event.data;
      place.querySelectorAll("details").forEach((one, n) => { one.open ||= open[n] ?? false; });
      if (focused) document.getElementById(focused)?.focus();
      place.dispatchEvent(new CustomEvent("followed", { bubbles: true }));
    });
    events.addEventListener("end", () => events.close());
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr?.status === 401) window.location.reload();
  });
  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-follow]").forEach(follow));
})();
