/* inline: error memory deadline; process: error memory deadline */
export default () => new Uint8Array(2 ** 31).fill(1).length
