/* inline: deadline; process: deadline */
export default () => { const f = () => queueMicrotask(f); f(); return new Promise(() => {}) }
