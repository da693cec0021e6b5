/* inline: error memory deadline; process: error memory deadline */
export default () => 'x'.repeat(2 ** 30).length
