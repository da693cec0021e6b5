/* inline: error deadline; process: error */
export default () => eval('for (;;);')
