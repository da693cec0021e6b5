/* inline: error deadline; process: error */
export default () => Function('for (;;);')()
