/* inline: memory deadline error; process: memory deadline error */
export default () => {
  let a = [];
  for (;;) a = [a, new Array(1e5).fill(a)];
}
