with patient as (
    select * from marts.patient_demographics
),

member as (
    select * from marts.concept_set_member where concept_set in ('type_2_diabetes', 'type_1_diabetes')
),

result as (
    select * from marts.lab_results where lab = 'hba1c' and lab_value is not null
),

diagnosed as (
    select
        episode.person_id,
        min(episode.start_date) as first_date
    from marts.condition_episodes as episode
    inner join member on episode.condition_concept_id = member.concept_id
    group by episode.person_id
),

cohort as (
    select
        patient_year.calendar_year,
        diagnosed.person_id
    from marts.patient_year as patient_year
    inner join diagnosed on patient_year.person_id = diagnosed.person_id
    inner join patient on patient_year.person_id = patient.person_id
    where extract(year from diagnosed.first_date) <= patient_year.calendar_year
        and (patient.death_date is null or extract(year from patient.death_date) > patient_year.calendar_year)
),

ranked as (
    select
        person_id,
        cast(extract(year from measurement_date) as integer) as calendar_year,
        lab_value,
        row_number() over (
            partition by person_id, extract(year from measurement_date)
            order by measurement_date desc, measurement_datetime desc, measurement_id desc
        ) as recency
    from result
),

joined as (
    select
        cohort.calendar_year,
        cohort.person_id,
        ranked.lab_value
    from cohort
    left join ranked
        on cohort.person_id = ranked.person_id
        and cohort.calendar_year = ranked.calendar_year
        and ranked.recency = 1
),

final as (
    select
        calendar_year,
        count(*) as patient_count,
        count(lab_value) as tested_count,
        count(case when lab_value < 7 then 1 end) as below_7_count,
        count(case when lab_value >= 7 and lab_value <= 9 then 1 end) as from_7_to_9_count,
        count(case when lab_value > 9 then 1 end) as above_9_count,
        avg(lab_value) as mean_hba1c,
        cast(count(lab_value) as double) / count(*) as tested_share,
        cast(count(case when lab_value < 7 then 1 end) as double) / nullif(count(lab_value), 0) as controlled_share,
        cast(count(case when lab_value > 9 or lab_value is null then 1 end) as double) / count(*) as poor_control_share
    from joined
    group by calendar_year
)

select * from final
