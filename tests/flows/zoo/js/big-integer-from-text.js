/* inline: error; process: error */
export default () => BigInt('9'.repeat(300000)) > 0n
