CREATE TABLE products (
    id serial PRIMARY KEY,
    name text NOT NULL,
    price integer NOT NULL CHECK (price > 0)  -- cents
);
INSERT INTO products (name, price) VALUES ('Teapot', 2400), ('Cup', 600);
