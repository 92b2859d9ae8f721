package nl

import "slices"

// Copy is what a [Table] holds, kept as it came: the bodies of messages under
// keys, mostly one each. It finds out what is new, what has changed and what has
// gone, by notifications and by reading everything again.
type Copy[K comparable, V any] struct {
	// Parse reads a body; ok is false for what belongs elsewhere.
	Parse func(body []byte) (key K, v V, ok bool, err error)
	// Same reports whether nothing differs but what moves by itself.
	Same func(a, b *V) bool
	// Match reports whether a notification that b has gone is about a; nil: the
	// key says enough.
	Match func(a, b *V) bool
	// Several says that a key may have more than one entry.
	Several bool
	// Ambiguous reports whether v, which comes to others under its key, may have
	// become one with them. Nil: never.
	Ambiguous func(v *V) bool
	// Hides reports whether v may have kept others under its key out of a reading,
	// which then appear when it goes. Nil: never.
	Hides func(v *V) bool
	// Tell is told what is added (old is nil), changed, or deleted (new is nil).
	Tell func(old, new *V) error

	kept  map[K][]item
	fresh []fresh[K]
	round uint32
}

type item struct {
	raw   string
	round uint32 // of reading that saw it last
}

type fresh[K comparable] struct {
	key K
	raw string
}

// Len returns how many entries there are.
func (c *Copy[K, V]) Len() (n int) {
	for _, list := range c.kept {
		n += len(list)
	}
	return n
}

// Begin starts a reading.
func (c *Copy[K, V]) Begin() {
	c.round++
	c.fresh = nil
}

// Read takes an entry of a dump. What is new is told at the end, when it is
// clear what it takes the place of.
func (c *Copy[K, V]) Read(body []byte) error {
	key, v, ok, err := c.Parse(body)
	if !ok || err != nil {
		return err
	}
	list := c.kept[key]
	if i := c.find(list, body, &v, c.Same); i >= 0 {
		list[i].round = c.round
		return nil
	}
	c.fresh = append(c.fresh, fresh[K]{key, string(body)})
	return nil
}

// find returns the place of the entry that body tells of, -1 for none.
func (c *Copy[K, V]) find(list []item, body []byte, v *V, same func(a, b *V) bool) int {
	for i := range list {
		if list[i].raw == string(body) {
			return i
		}
	}
	for i := range list {
		if old := c.value(list[i].raw); same(old, v) {
			return i
		}
	}
	return -1
}

// value parses what was parsed before.
func (c *Copy[K, V]) value(raw string) *V {
	_, v, _, _ := c.Parse([]byte(raw))
	return &v
}

// End ends a reading: what was not seen has gone, or is what something new has
// taken the place of.
func (c *Copy[K, V]) End() error {
	if c.kept == nil {
		c.kept = make(map[K][]item, len(c.fresh))
	}
	news := c.fresh
	c.fresh = nil
	for i := range news {
		if err := c.enter(news[i].key, news[i].raw); err != nil {
			return err
		}
	}
	for key, list := range c.kept {
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].round != c.round {
				if err := c.drop(key, i); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// enter adds what a reading has found.
func (c *Copy[K, V]) enter(key K, raw string) error {
	list := c.kept[key]
	for i := range list {
		if list[i].round == c.round && list[i].raw == raw {
			return nil // it was read twice
		}
	}
	for i := range list {
		if list[i].round != c.round || !c.Several { // it changed while it was read
			return c.change(list, i, raw)
		}
	}
	return c.add(key, raw)
}

func (c *Copy[K, V]) add(key K, raw string) error {
	c.kept[key] = append(c.kept[key], item{raw, c.round})
	return c.Tell(nil, c.value(raw))
}

func (c *Copy[K, V]) change(list []item, i int, raw string) error {
	old := c.value(list[i].raw)
	list[i] = item{raw, c.round}
	return c.Tell(old, c.value(raw))
}

func (c *Copy[K, V]) drop(key K, i int) error {
	list := c.kept[key]
	old := c.value(list[i].raw)
	if len(list) == 1 {
		delete(c.kept, key)
	} else {
		c.kept[key] = slices.Delete(list, i, i+1)
	}
	return c.Tell(old, nil)
}

// Added takes a notification that an entry is there, which replaces another if
// so said. Doubt means that it does not tell what became of which.
func (c *Copy[K, V]) Added(body []byte, replaces bool) (mine, doubt bool, err error) {
	key, v, ok, err := c.Parse(body)
	if !ok || err != nil {
		return false, err != nil, nil
	}
	list := c.kept[key]
	if i := c.find(list, body, &v, c.Same); i >= 0 {
		list[i].raw = string(body)
		return true, replaces && len(list) > 1, nil
	}
	switch {
	case len(list) == 0:
		return true, false, c.add(key, string(body))
	case len(list) == 1 && (replaces || !c.Several):
		return true, false, c.change(list, 0, string(body))
	case replaces, c.Ambiguous != nil && c.Ambiguous(&v):
		return true, true, nil
	}
	return true, false, c.add(key, string(body))
}

// Deleted takes a notification that an entry has gone. One that is not known is
// no news: notifications from before a reading come after it.
func (c *Copy[K, V]) Deleted(body []byte) (mine, doubt bool, err error) {
	key, v, ok, err := c.Parse(body)
	if !ok || err != nil {
		return false, err != nil, nil
	}
	list := c.kept[key]
	if len(list) == 0 {
		return true, false, nil
	}
	i := 0
	if c.Match != nil {
		if i = c.find(list, body, &v, c.Match); i < 0 {
			return true, true, nil
		}
	}
	return true, c.Hides != nil && c.Hides(&v), c.drop(key, i)
}
