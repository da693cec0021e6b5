/* inline: deadline error value; process: deadline error value memory */
export default () => /x*y/.test('x'.repeat(50000))
