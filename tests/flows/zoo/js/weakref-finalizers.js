/* inline: deadline memory error; process: deadline memory error */
export default () => {
  const all = new Set();
  for (;;) all.add(new WeakRef({ big: new Array(100).fill(1) }));
}
