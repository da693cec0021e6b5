/* inline: deadline memory; process: deadline memory */
export default () => { const f = () => { queueMicrotask(f); queueMicrotask(f) }; f(); return new Promise(() => {}) }
