/* inline: error memory deadline value; process: error memory deadline value */
export default () => new Array(2e7).sort().length
