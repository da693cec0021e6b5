/* inline: error memory deadline; process: error memory deadline */
export default () => { const a = []; a.length = 2 ** 32 - 1; return a }
