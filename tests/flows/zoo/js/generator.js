/* inline: deadline; process: deadline */
function* g() { for (;;) yield 1 }
export default () => { for (const x of g()); }
