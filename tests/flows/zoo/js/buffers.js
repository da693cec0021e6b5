/* inline: deadline memory error; process: deadline memory error */
export default () => { const a = []; for (;;) a.push(new Uint8Array(1e6).fill(1)) }
