/* inline: deadline error value; process: deadline error value memory */
export default () => /^(?:a|a|a)*$/.test('a'.repeat(60) + 'b')
