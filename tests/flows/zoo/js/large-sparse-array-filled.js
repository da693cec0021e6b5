/* inline: error memory deadline; process: error memory deadline */
export default () => new Array(2e7).fill(0).length
