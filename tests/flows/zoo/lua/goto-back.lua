-- inline: deadline; process: deadline
return function(self)
  ::again:: goto again
end
