/* inline: deadline; process: deadline */
export default () => Reflect.apply(() => { for (;;); }, 1, [])
