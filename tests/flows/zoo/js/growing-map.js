/* inline: deadline memory; process: deadline memory */
export default () => { const m = new Map; for (let i = 0;; i++) m.set(i, {}) }
