/* inline: deadline; process: deadline */
let first = env; const start = Date.now();
export default () => { for (;;) if (Date.now() < start) return 1 }
