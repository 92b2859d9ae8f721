module github.com/netsonde/netsonde/bench

go 1.26.0

replace github.com/netsonde/netsonde => ../
