/* inline: deadline; process: deadline */
export default () => 'x'.replace(/x/, () => { for (;;); })
