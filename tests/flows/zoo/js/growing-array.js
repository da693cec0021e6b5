/* inline: deadline memory; process: deadline memory */
export default () => { const a = []; for (;;) a.push({ a: 1, b: [2] }) }
