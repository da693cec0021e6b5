/* inline: memory deadline error; process: memory deadline error value */
export default () => Array.from({ length: 2e6 }, (_, i) => ({ i }))
