// Keys of the review page: each presses what carries it as data-key. In a text only Ctrl+Enter and Escape do something.
"use strict";
(() => {
  const isText = (place) => place.matches("input, textarea, select, [contenteditable]");

  function inText(event) {
    if (event.key === "Escape") event.target.blur();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.id === "text") document.getElementById("edit").click();
    else return;
    event.preventDefault();
  }

  function press(place) {
    if (isText(place)) {
      place.focus();
      place.select?.();
      return;
    }
    place.click();
    const editor = place.closest("#editor");
    if (place.tagName === "SUMMARY" && editor) setTimeout(() => editor.open && document.getElementById("text").focus());
  }

  // Keys that come while the page is being changed wait for it, in their order.
  const waiting = [];

  function next() {
    if (document.querySelector(".htmx-request")) {
      setTimeout(next, 20);
      return;
    }
    const place = placeOf(waiting.shift());
    if (place) press(place);
    if (waiting.length) setTimeout(next, 20);
  }

  const placeOf = (key) => document.querySelector(`[data-key="${CSS.escape(key)}"]`);

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    if (isText(event.target)) {
      inText(event);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !placeOf(event.key)) return;
    event.preventDefault();
    waiting.push(event.key);
    if (waiting.length === 1) next();
  });
})();
