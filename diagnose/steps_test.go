package diagnose

import "testing"

// TestStepsShowOnlyWhatWasSeen: a name server in a file is no sign that DNS
// works, and facts about a name server say nothing about the target.
func TestStepsShowOnlyWhatWasSeen(t *testing.T) {
	resolver := Scope{Peer: ns, Port: 53, Role: RoleResolver}
	facts := []Fact{
		{Name: FactConfigured, Subject: "/etc/resolv.conf", State: Yes, Detail: "name server " + ns.String()},
		{Name: FactServer, Subject: ns.String(), Why: "there is no way to it", Scope: resolver},
		{Name: FactPath, Subject: ns.String(), State: Yes, Detail: "it answers", Scope: resolver},
	}
	got := map[string]Step{}
	for _, s := range stepsFor(Target{Host: "web1", Port: 80}, facts) {
		got[s.ID] = s
	}
	if s := got["name"]; s.State != NotChecked || s.Why != "there is no way to it" {
		t.Errorf("name: %+v", s)
	}
	if s := got["path"]; s.State != NotChecked || s.Why == "" {
		t.Errorf("path: %+v", s)
	}
	facts[1].State = Yes
	for _, s := range stepsFor(Target{Host: "web1", Port: 80}, facts) {
		if s.ID == "name" && s.State != Yes {
			t.Errorf("a server that answers: %+v", s)
		}
	}
}
