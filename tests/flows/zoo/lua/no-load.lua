-- inline: error deadline; process: error
return function(self)
  load('while true do end')()
end
