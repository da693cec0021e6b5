/* inline: error memory deadline; process: error memory deadline */
export default () => 'x'.padStart(2 ** 30).length
