// Package lab is the network laboratory of the tests: hosts, routers, switches
// and cables in Linux network namespaces, built over netlink in a few
// milliseconds, as root or as an ordinary user, and gone when the test ends.
//
// A package that uses it has a TestMain that returns Main. Then a test says
// what it needs:
//
//	l := lab.New(t)
//	client, gw, server := l.Host("client"), l.Router("gw"), l.Host("server")
//	l.Connect(client.Port("eth0", "10.1.0.2/24"), gw.Port("lan", "10.1.0.1/24"))
//	l.Connect(gw.Port("wan", "10.2.0.1/24"), server.Port("eth0", "10.2.0.2/24"))
//	client.Route("default", "10.1.0.1")
//	server.Route("default", "10.2.0.1")
//	err := client.Do(func() error {
//		conn, err := net.Dial("tcp", "10.2.0.2:80")
//		…
//	})
package lab
