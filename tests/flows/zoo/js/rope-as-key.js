/* inline: error memory deadline; process: error memory deadline */
export default () => { let s = 'x'; for (let i = 0; i < 27; i++) s += s; return { [s]: 1 } }
