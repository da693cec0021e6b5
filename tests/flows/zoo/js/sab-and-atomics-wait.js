/* inline: deadline error value; process: deadline error value */
export default () => {
  if (typeof SharedArrayBuffer === 'undefined') throw new Error('none');
  const a = new Int32Array(new SharedArrayBuffer(4));
  return Atomics.wait(a, 0, 0, 1e9);
}
