/* inline: deadline memory error; process: deadline memory error */
export default () => String(7n ** 300000n).length
