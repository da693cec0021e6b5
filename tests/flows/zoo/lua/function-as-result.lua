-- inline: error deadline; process: error
return function(self)
  return print
end
