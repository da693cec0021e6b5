-- inline: error deadline; process: error
return function(self)
  error()
end
