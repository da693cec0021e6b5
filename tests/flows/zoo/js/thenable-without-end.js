/* inline: deadline; process: deadline */
export default () => { const t = { then(f) { f(t) } }; return t }
