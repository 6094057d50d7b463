CREATE TABLE orders (
    id serial PRIMARY KEY,
    product integer NOT NULL REFERENCES products,
    count integer NOT NULL,
    total integer NOT NULL,
    placed timestamptz NOT NULL DEFAULT now(),
    sent timestamptz
);
CREATE TABLE reports (day date PRIMARY KEY, orders integer NOT NULL, total integer NOT NULL);
