/* inline: memory deadline; process: memory deadline */
export default () => {
  const o = {};
  for (let i = 0;; i++) o['k' + i] = 'v' + i;
}
