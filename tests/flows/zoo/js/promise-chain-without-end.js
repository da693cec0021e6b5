/* inline: deadline; process: deadline memory */
export default () => { const f = () => Promise.resolve().then(f); return f() }
