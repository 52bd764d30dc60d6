// SPDX-License-Identifier: MIT

/** Timers that keep their pace in a hidden tab, where the browser slows the page's own: they tick in a worker. */
export function steadyTimers() {
  const ticking = 'onmessage = ({ data: [id, ms] }) => setTimeout(postMessage, ms, id)';
  const worker = new Worker(URL.createObjectURL(new Blob([ticking], { type: 'text/javascript' })));
  const actions = new Map();
  let last = 0;
  worker.onmessage = ({ data: id }) => {
    const action = actions.get(id);
    actions.delete(id);
    action?.();
  };
  return {
    set(milliseconds, action) {
      actions.set(++last, action);
      worker.postMessage([last, milliseconds]);
      return last;
    },
    clear: (id) => actions.delete(id),
  };
}
