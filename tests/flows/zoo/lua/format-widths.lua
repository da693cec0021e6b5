-- inline: error deadline; process: error
return function(self)
  return ('%999999d'):format(1)
end
