/* inline: deadline error value; process: deadline error value memory */
export default () => /^(a+)+$/.test('a'.repeat(40) + 'b')
