/* inline: deadline error memory value; process: deadline error memory value */
export default () => {
  const s = 'x'.repeat(1e6);
  for (let i = 0; i < 1e4; i++) console.log(s);
  return 1;
}
